from django.apps import AppConfig


class MantraConfig(AppConfig):
    name = "mantra"
    verbose_name = "MANTRA"

    def ready(self) -> None:
        from mantra.health import alarms  # models must be loaded first
        from registry.exports import KINDS
        from registry.notifications.health import OBSERVED

        OBSERVED.extend(alarms.observed())
        KINDS.update({name: f"mantra.exports.kinds.{name.upper()}" for name in ("history", "report", "statistics")})

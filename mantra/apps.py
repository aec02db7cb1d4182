from django.apps import AppConfig


class MantraConfig(AppConfig):
    name = "mantra"
    verbose_name = "MANTRA"

    def ready(self) -> None:
        from mantra.exports.kinds import HISTORY, REPORT  # models must be loaded first
        from mantra.health import alarms
        from registry.exports import KINDS
        from registry.notifications.health import OBSERVED

        OBSERVED.extend(alarms.observed())
        KINDS["history"] = HISTORY
        KINDS["report"] = REPORT

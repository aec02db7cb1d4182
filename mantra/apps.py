from django.apps import AppConfig


class MantraConfig(AppConfig):
    name = "mantra"
    verbose_name = "MANTRA"

    def ready(self) -> None:
<<<<<<< HEAD
        from mantra.exports.kinds import HISTORY, REPORT  # models must be loaded first
        from mantra.health import alarms
        from mantra.metrics.findings import Findings
        from registry import worker_metrics
=======
        from mantra.health import alarms  # models must be loaded first
>>>>>>> fix-reports
        from registry.exports import KINDS
        from registry.notifications.health import OBSERVED

        OBSERVED.extend(alarms.observed())
<<<<<<< HEAD
        worker_metrics.SOURCES.append(Findings())
        KINDS["history"] = HISTORY
        KINDS["report"] = REPORT
=======
        KINDS.update({name: f"mantra.exports.kinds.{name.upper()}" for name in ("history", "report", "statistics")})
>>>>>>> fix-reports

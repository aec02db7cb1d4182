from django.apps import AppConfig


class MantraConfig(AppConfig):
    name = "mantra"
    verbose_name = "MANTRA"

    def ready(self) -> None:
        from mantra.health import alarms  # models must be loaded first
        from mantra.metrics import lane
        from mantra.metrics.findings import Findings
        from registry import worker_metrics
        from registry.exports import KINDS
        from registry.journal.shipping import OBSERVERS
        from registry.notifications.health import OBSERVED
        from registry.worker_tasks import TASKS

        OBSERVED.extend(alarms.observed())
        worker_metrics.SOURCES.extend((Findings(), lane.gauges))
        OBSERVERS.append(lane.count)
        KINDS["subject"] = "mantra.subject_access.kind.KIND"
        TASKS["harvest"] = "mantra.containment.detector.Task"
        TASKS["erasing"] = "mantra.proof.eraser.Eraser"
        TASKS["heads"] = "mantra.proof.prover.Prover"
        KINDS.update({name: f"mantra.exports.kinds.{name.upper()}" for name in ("history", "report", "statistics")})
        KINDS.update({name: f"mantra.containment.exporting.{name.upper()}" for name in ("breach", "subjects")})

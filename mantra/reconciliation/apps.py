from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReconciliationConfig(AppConfig):
    name = "mantra.reconciliation"
    verbose_name = _("Reconciliation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from registry.exports import KINDS  # models must be loaded first
        from registry.worker_tasks import TASKS

        TASKS["reconciliation"] = "mantra.reconciliation.worker.Task"
        KINDS["reconciliation"] = "mantra.reconciliation.exporting.KIND"

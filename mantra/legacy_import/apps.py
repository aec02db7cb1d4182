from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LegacyImportConfig(AppConfig):
    name = "mantra.legacy_import"
    verbose_name = _("Moving in from MANTRA 1.99x")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from registry.exports import KINDS  # models must be loaded first
        from registry.worker_tasks import TASKS

        TASKS["legacy_import"] = "mantra.legacy_import.pages.worker.Task"
        KINDS["legacy_import"] = "mantra.legacy_import.pages.exporting.KIND"

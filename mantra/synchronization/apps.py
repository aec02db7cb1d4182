from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SynchronizationConfig(AppConfig):
    name = "mantra.synchronization"
    verbose_name = _("Synchronisation")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from registry.worker_tasks import TASKS  # models must be loaded first

        TASKS["synchronization"] = "mantra.synchronization.worker.Task"

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "mantra.jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mantra.contracts import openapi
        from mantra.gateway.protocols.rest import BELOW_OPERATIONS
        from registry.worker_tasks import TASKS

        TASKS["jobs"] = "mantra.jobs.worker.Task"
        openapi.BELOW_OPERATIONS.append("mantra.jobs.contract.paths")
        BELOW_OPERATIONS["jobs"] = "mantra.jobs.rest.handle"

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DataServicesConfig(AppConfig):
    name = "dataservices"
    verbose_name = _("Data services")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dataservices import plan, uploads, versioning  # models must be loaded first
        from registry.snapshot.parts import PLANNERS
        from registry.versions import KINDS

        PLANNERS["data"] = plan.PLANNER
        uploads.follow_deletions()
        KINDS["data"] = versioning.KIND

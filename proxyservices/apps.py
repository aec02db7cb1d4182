from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProxyServicesConfig(AppConfig):
    name = "proxyservices"
    verbose_name = _("Proxy services")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from proxyservices import versioning
        from proxyservices.forwarding import plan  # models must be loaded first
        from registry.snapshot.parts import PLANNERS
        from registry.versions import KINDS

        PLANNERS["proxy"] = plan.PLANNER
        KINDS["proxy"] = versioning.KIND

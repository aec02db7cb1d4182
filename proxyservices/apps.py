from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProxyServicesConfig(AppConfig):
    name = "proxyservices"
    verbose_name = _("Proxy services")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from proxyservices import publishing_rules, versioning
        from proxyservices.forwarding import plan  # models must be loaded first
        from proxyservices.health import summary
        from proxyservices.models import Backend
        from registry import worker_metrics
        from registry.notifications import Event
        from registry.notifications.health import OBSERVED, Observed
        from registry.publishing import KINDS as PUBLISHED_KINDS
        from registry.snapshot.parts import PLANNERS
        from registry.versions import KINDS

        PLANNERS["proxy"] = plan.PLANNER
        KINDS["proxy"] = versioning.KIND
        PUBLISHED_KINDS["proxy"] = publishing_rules.KIND
        right = "proxyservices.change_backend"
        OBSERVED.append(
            Observed.of_agencies("backend", Backend, Event.BACKEND_ILL, Event.BACKEND_WELL, right, summary.working)
        )
        worker_metrics.SOURCES.append(summary.gauges)

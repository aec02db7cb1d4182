from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DataServicesConfig(AppConfig):
    name = "dataservices"
    verbose_name = _("Data services")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dataservices import health, plan, publishing_rules, uploads, versioning  # models must be loaded first
        from dataservices.models import DataSource
        from registry import worker_metrics
        from registry.notifications import Event
        from registry.notifications.health import OBSERVED, Observed
        from registry.publishing import KINDS as PUBLISHED_KINDS
        from registry.snapshot.parts import PLANNERS
        from registry.versions import KINDS

        PLANNERS["data"] = plan.PLANNER
        KINDS["data"] = versioning.KIND
        uploads.follow_deletions()
        PUBLISHED_KINDS["data"] = publishing_rules.KIND
        right = "dataservices.change_datasource"
        OBSERVED.append(
            Observed.of_agencies("source", DataSource, Event.SOURCE_ILL, Event.SOURCE_WELL, right, health.working)
        )
        worker_metrics.SOURCES.append(health.gauges)

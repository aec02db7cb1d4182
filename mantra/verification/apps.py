from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VerificationConfig(AppConfig):
    name = "mantra.verification"
    verbose_name = _("Verification")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mantra.verification import plan, versioning  # models must be loaded first
        from registry.calls import RUNNER_PATHS
        from registry.publishing import KINDS as PUBLISHED_KINDS
        from registry.snapshot.parts import PLANNERS
        from registry.versions import CHECKS, KINDS, STATE_WARNINGS

        RUNNER_PATHS["verification"] = "mantra.verification.runner.run"
        PLANNERS["verification"] = plan.PLANNER
        KINDS["verification"] = versioning.KIND
        PUBLISHED_KINDS["verification"] = versioning.PUBLISHED_KIND
        CHECKS.insert(0, versioning.check_base)  # before anybody is asked to approve
        STATE_WARNINGS.append(versioning.warnings)

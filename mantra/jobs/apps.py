from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "mantra.jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

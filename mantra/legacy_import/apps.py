from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LegacyImportConfig(AppConfig):
    name = "mantra.legacy_import"
    verbose_name = _("Moving in from MANTRA 1.99x")
    default_auto_field = "django.db.models.BigAutoField"

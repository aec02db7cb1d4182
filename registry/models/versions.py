"""The published versions of operations, kept as they were."""

from __future__ import annotations

from django.core.validators import MaxLengthValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.bounds import BoundedTextField
from registry.models.services import Operation

#: Characters of a definition as JSON, without its large texts; of a large text; of a reason.
MAX_DEFINITION, MAX_VERSION_TEXT, MAX_REASON = 30_000_000, 4_000_000, bounds.REASON


class OperationVersion(models.Model):
    """A definition of an operation that was published. It never changes; rotate_secrets alone encrypts it anew."""

    class Origin(models.TextChoices):
        ADMIN = "admin", _("admin")
        API = "api", _("management API")
        BUNDLE = "bundle", _("definitions file")
        IMPORT = "import", _("import")
        REVERT = "revert", _("return to an earlier version")
        ADDRESS = "address", _("address change")
        EXISTING = "existing", _("was there before it was recorded")

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="versions")
    number = models.PositiveIntegerField(_("version"), editable=False)
    #: What registry/versions/definition.py returns: secrets encrypted, large texts by their digests.
    definition = models.JSONField(_("definition"), validators=[bounds.MaxJsonLength(MAX_DEFINITION)], editable=False)
    published_at = models.DateTimeField(_("published at"), default=timezone.now, editable=False)
    #: A copy of the name, so that it outlives the user; "" for a command of an operator.
    user = models.CharField(_("published by"), max_length=150, blank=True, editable=False)
    reason = BoundedTextField(_("reason"), max_length=MAX_REASON, blank=True)
    #: For callers, who read it in the catalogue; the reason is for the agency itself.
    change_note = BoundedTextField(_("note for callers"), max_length=bounds.CHANGE_NOTE, blank=True)
    origin = models.CharField(_("made by"), max_length=10, choices=Origin.choices, editable=False)

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        default_permissions = ()
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=["operation", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"v{self.number}"


class VersionText(models.Model):
    """A large text of an operation's versions, such as a WSDL, stored once for all versions that have it."""

    operation = models.ForeignKey(Operation, models.CASCADE, related_name="version_texts")
    digest = models.CharField(max_length=64, validators=[MaxLengthValidator(64)], editable=False)
    content = BoundedTextField(max_length=MAX_VERSION_TEXT)

    class Meta:
        verbose_name = "version text"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["operation", "digest"], name="version_text_once")]

    def __str__(self) -> str:
        return self.digest

"""Sample requests of operations."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models.services import Operation
from registry.secrets import EncryptedField

#: Characters of a sample's request, and samples of an operation.
MAX_SAMPLE, MAX_SAMPLES = 1_000_000, 20


class SampleRequest(models.Model):
    """A request by which two addresses of an upstream, or two versions of an operation, are compared."""

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="samples")
    name = models.CharField(_("name"), max_length=100)
    #: JSON: the arguments by parameter; for pass-through operations method, path, query, headers and body.
    request = EncryptedField(_("request"), max_length=MAX_SAMPLE)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("sample")
        verbose_name_plural = _("samples")
        default_permissions = ()
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["operation", "name"], name="sample_request_once")]

    def __str__(self) -> str:
        return self.name

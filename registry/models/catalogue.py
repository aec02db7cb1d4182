"""What the catalogue shows of operations beside their definitions."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models.bounds import BoundedTextField
from registry.models.services import Operation

#: Characters of a sample response.
MAX_SAMPLE = 20_000


class SampleResponse(models.Model):
    """A response of an operation that the catalogue shows, as JSON. Personal data in it is masked before it is stored.

    registry/sample_responses.py makes it.
    """

    operation = models.OneToOneField(
        Operation, models.CASCADE, verbose_name=_("operation"), related_name="sample_response"
    )
    content = BoundedTextField(_("content"), max_length=MAX_SAMPLE)
    saved_at = models.DateTimeField(_("saved at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("sample response")
        verbose_name_plural = _("sample responses")
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.operation)

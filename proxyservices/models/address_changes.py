"""Samples, and the history of address changes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.operations import ProxyOperation
from proxyservices.models.upstreams import Upstream
from registry.secrets import EncryptedField


class Sample(models.Model):
    """A question with which a new address is compared with the old one."""

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="samples")
    name = models.CharField(_("name"), max_length=100)
    #: JSON: the arguments by parameter; for as-is operations method, path, query, headers and body.
    question = EncryptedField(_("question"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("sample")
        verbose_name_plural = _("samples")
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["operation", "name"], name="sample_once")]

    def __str__(self) -> str:
        return self.name


class AddressChange(models.Model):
    """A move of an upstream, rehearsed or not: the history that "back" goes by."""

    upstream = models.ForeignKey(Upstream, models.SET_NULL, null=True, related_name="changes")
    #: Copied, so that the record outlives what it names.
    operation = models.CharField(_("operation"), max_length=300)
    operation_ref = models.BigIntegerField(null=True)
    old_url = models.CharField(_("old address"), max_length=500)
    new_url = models.CharField(_("new address"), max_length=500)
    kind = models.CharField(
        _("kind"), max_length=10, choices=[("rehearse", _("rehearsed")), ("switch", _("switched")), ("back", _("back"))]
    )
    #: How many samples were asked, and how many differed; None where nothing was rehearsed.
    samples = models.PositiveIntegerField(_("samples"), null=True, blank=True)
    differences = models.PositiveIntegerField(_("differences"), null=True, blank=True)
    #: JSON. What is to go to the new address ("rehearse") or went to the old one ("switch", "back"):
    #: "credential", and the secret values by their mappings' ids. Whoever goes back needs the old ones.
    secrets = EncryptedField(blank=True, default="", editable=False)
    user = models.CharField(_("user"), max_length=150)
    at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("change of address")
        verbose_name_plural = _("changes of address")
        default_permissions = ("view",)
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.old_url} → {self.new_url}"

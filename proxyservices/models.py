"""Proxy services: a stable alias in front of another system's web service."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from registry.models import Definition, Operation
from registry.secrets import EncryptedField


def validate_address(text: str) -> None:
    """An http or https address with a host. Names without a dot are common inside an agency's network."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        raise ValidationError(_("Write an address like https://layanan.contoh.go.id/api."))
    if "@" in parts.netloc:
        raise ValidationError(_("Put the credential into its own field, not into the address."))


class ProxyOperation(Operation):
    class Style(models.TextChoices):
        LEGACY_REST = "legacy-rest", _("MANTRA 1.99x: rest")

    style = models.CharField(_("style"), max_length=20, choices=Style.choices, default=Style.LEGACY_REST)
    method = models.CharField(_("HTTP method"), max_length=10, choices=[("GET", "GET")], default="GET")
    path = models.CharField(
        _("path"),
        max_length=200,
        blank=True,
        help_text=_("What follows the upstream's address: with MANTRA 1.99x the name of the operation there."),
    )
    time_cap_ms = models.PositiveIntegerField(
        _("time cap (ms)"), default=10_000, validators=[MinValueValidator(50), MaxValueValidator(3_600_000)]
    )
    size_cap = models.PositiveIntegerField(_("size cap (bytes)"), default=10_000_000)

    class Meta:
        verbose_name = _("proxy operation")
        verbose_name_plural = _("proxy operations")

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.PROXY
        super().save(*args, **kwargs)


class Upstream(Definition):
    """An address at which a proxy operation's service is to be had."""

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="upstreams")
    position = models.PositiveSmallIntegerField(_("priority"), default=0, help_text=_("The lowest is tried first."))
    url = models.CharField(_("address"), max_length=500, validators=[validate_address])
    credential = EncryptedField(
        _("access key at the upstream"), blank=True, default="", help_text=_("Sent in the AccessKey header.")
    )

    class Meta:
        verbose_name = _("upstream")
        verbose_name_plural = _("upstreams")
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.url

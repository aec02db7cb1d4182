"""What applications show beside their keys: certificates, and access tokens that were ended."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import certificates
from registry.models import bounds
from registry.models.access import Application
from registry.models.base import RegistryModel
from registry.models.bounds import BoundedTextField


class ClientCertificate(RegistryModel):
    """A certificate with which an application opens its connections. The private key never leaves the application."""

    snapshot_unit = ("certificate", "id")
    counted = ("certificates", "application")

    application = models.ForeignKey(
        Application, models.CASCADE, verbose_name=_("application"), related_name="certificates"
    )
    pem = BoundedTextField(
        _("certificate (PEM)"),
        max_length=bounds.PEM,
        help_text=_("The text that begins with -----BEGIN CERTIFICATE-----. Never paste the private key here."),
    )
    subject = models.CharField(_("subject"), max_length=200, blank=True, editable=False)
    thumbprint = models.CharField(_("SHA-256"), max_length=64, editable=False)
    not_after = models.DateTimeField(_("valid until"), editable=False)
    created_at = models.DateTimeField(_("added at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("client certificate")
        verbose_name_plural = _("client certificates")
        ordering = ("application", "-created_at")
        constraints = [models.UniqueConstraint(fields=["application", "thumbprint"], name="certificate_once")]

    def __str__(self) -> str:
        return self.subject or self.thumbprint[:16]

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and self.not_after > timezone.now()

    def clean(self) -> None:
        super().clean()
        if "PRIVATE KEY" in self.pem:
            raise ValidationError({"pem": _("This contains a private key. Paste the certificate only.")})
        found = certificates.load(self.pem)
        if found is None:
            raise ValidationError({"pem": _("This is no certificate in PEM.")})
        if self._state.adding and found.not_after <= timezone.now():
            raise ValidationError({"pem": _("This certificate has expired.")})
        self.subject, self.thumbprint, self.not_after = found.subject, found.thumbprint, found.not_after
        same = ClientCertificate.objects.filter(application=self.application_id, thumbprint=self.thumbprint)
        if same.exclude(pk=self.pk).exists():
            raise ValidationError({"pem": _("The application has this certificate already.")})

    def kept_because(self) -> Any:
        return _("Revoke the certificate before you delete it.") if self.is_active else ""

    def revoke(self) -> None:
        """End the certificate. Worker processes follow within a second."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])


class RevokedToken(RegistryModel):
    """An access token that ended before its time. The row is deleted once the token would have expired."""

    snapshot_unit = ("revoked-token", "id")
    counted = ("revoked_tokens", "application")

    application = models.ForeignKey(Application, models.CASCADE, related_name="revoked_tokens")
    token = models.CharField(max_length=24, unique=True)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = "revoked token"
        default_permissions = ()

    def __str__(self) -> str:
        return self.token

"""The history of address changes."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.backends import BackendServer
from registry.secrets import EncryptedField

#: Characters of an address change's secrets.
MAX_SECRETS = 4_000_000


class AddressChange(models.Model):
    """A rehearsal, switch or roll-back of a server's address. A roll-back restores the state before a switch."""

    server = models.ForeignKey(BackendServer, models.SET_NULL, null=True, related_name="changes")
    #: Copies, so that the row outlives the backend.
    backend = models.CharField(_("backend"), max_length=300)
    backend_ref = models.BigIntegerField(null=True)
    #: The one operation that the address belonged to, in changes from before there were backends.
    operation = models.CharField(_("operation"), max_length=300, blank=True)
    old_url = models.CharField(_("old address"), max_length=500)
    new_url = models.CharField(_("new address"), max_length=500)
    kind = models.CharField(
        _("kind"),
        max_length=10,
        choices=[("rehearse", _("rehearsed")), ("switch", _("switched")), ("roll-back", _("rolled back"))],
    )
    #: The number of samples that were sent, and of those with differences; None if nothing was rehearsed.
    samples = models.PositiveIntegerField(_("samples"), null=True, blank=True)
    differences = models.PositiveIntegerField(_("differences"), null=True, blank=True)
    #: JSON: "credential" or a mapping's id → [the secret, the destinations it was entered for]. They are for the new
    #: address ("rehearse"), or belonged to the old one ("switch", "roll-back"): a roll-back restores them.
    secrets = EncryptedField(max_length=MAX_SECRETS, blank=True, default="", editable=False)
    user = models.CharField(_("user"), max_length=150)
    at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("address change")
        verbose_name_plural = _("address changes")
        default_permissions = ("view",)
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.old_url} → {self.new_url}"

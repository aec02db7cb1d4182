"""The networks from which access keys are used."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from registry.models.access import AccessKey
from registry.models.agencies import User


class KeyNetwork(models.Model):
    """A network from which a key was used: a /24 of IPv4 or a /48 of IPv6, with what was fetched from there.

    A key has at most so many of them as registry.journal.key_networks allows; the one seen longest ago goes first.
    """

    key = models.ForeignKey(AccessKey, models.CASCADE, verbose_name=_("access key"), related_name="seen_networks")
    network = models.CharField(_("network"), max_length=50)
    first_at = models.DateTimeField(_("first call"))
    last_at = models.DateTimeField(_("last call"))
    calls = models.BigIntegerField(_("calls"), default=0)
    rows = models.BigIntegerField(_("rows"), default=0)
    #: True while people must be notified of it.
    is_new = models.BooleanField(default=False)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    confirmed_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        verbose_name = _("network of a key")
        verbose_name_plural = _("networks of keys")
        ordering = ("-last_at", "-id")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "network"], name="key_network_once")]
        indexes = [models.Index(fields=["is_new", "first_at"], name="key_network_new")]

    def __str__(self) -> str:
        return self.network

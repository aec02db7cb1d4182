"""Upstreams, and how they fare."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.operations import ProxyOperation
from proxyservices.models.validators import _HEADER, METHODS, validate_address
from registry.models import Definition
from registry.secrets import EncryptedField

_STATUSES = RegexValidator(
    r"^\s*[1-5]\d\d(-[1-5]\d\d)?(\s*[,\s]\s*[1-5]\d\d(-[1-5]\d\d)?)*\s*$",
    _("Write statuses like 200 or 200-399, parted by commas."),
)


class Upstream(Definition):
    """An address at which a proxy operation's service is to be had."""

    class Credential(models.TextChoices):
        NONE = "none", _("none")
        ACCESS_KEY = "access-key", _("access key of MANTRA")
        HEADER = "header", _("header of its own")
        BASIC = "basic", _("user and password (basic)")
        BEARER = "bearer", _("bearer token")
        OAUTH2 = "oauth2", _("OAuth2 client credentials")

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="upstreams")
    position = models.PositiveSmallIntegerField(_("priority"), default=0, help_text=_("The lowest is tried first."))
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("Its share of the calls among addresses of the same priority."),
    )
    url = models.CharField(_("address"), max_length=500, validators=[validate_address])
    active = models.BooleanField(_("in use"), default=True)

    credential_kind = models.CharField(
        _("credential"), max_length=20, choices=Credential.choices, default=Credential.ACCESS_KEY
    )
    credential_name = models.CharField(
        _("user, client or header"), max_length=200, blank=True, help_text=_("The name that goes with the secret.")
    )
    credential = EncryptedField(_("key, password or token"), blank=True, default="")
    token_url = models.CharField(
        _("token address"), max_length=500, blank=True, validators=[validate_address], help_text=_("OAuth2 only.")
    )
    scope = models.CharField(_("scope"), max_length=300, blank=True, help_text=_("OAuth2 only."))
    client_certificate = EncryptedField(
        _("client certificate"),
        blank=True,
        default="",
        help_text=_("PEM: the private key and the certificate, one after the other."),
    )
    authority = models.TextField(
        _("certificate authority"), blank=True, help_text=_("PEM, where the upstream's certificate is not public.")
    )

    probe_seconds = models.PositiveIntegerField(
        _("probe every (seconds)"), default=0, validators=[MaxValueValidator(86_400)], help_text=_("0: never.")
    )
    probe_method = models.CharField(
        _("probe method"), max_length=10, choices=[(name, name) for name in METHODS], default="GET"
    )
    probe_path = models.CharField(
        _("probe path"),
        max_length=500,
        blank=True,
        help_text=_(
            "With a slash at its beginning from the host's root (/healthz), else below the address; empty: the "
            "address itself."
        ),
    )
    probe_statuses = models.CharField(_("healthy statuses"), max_length=100, default="200-399", validators=[_STATUSES])
    probe_text = models.CharField(
        _("healthy text"), max_length=200, blank=True, help_text=_("What the answer must contain; empty: anything.")
    )

    class Meta:
        verbose_name = _("upstream")
        verbose_name_plural = _("upstreams")
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        super().clean()
        kind = self.credential_kind
        problems: dict[str, Any] = {}
        named = (self.Credential.HEADER, self.Credential.BASIC, self.Credential.OAUTH2)
        if kind in named and not self.credential_name:
            problems["credential_name"] = _("This kind of credential needs a name.")
        if kind == self.Credential.HEADER and self.credential_name and not _HEADER.match(self.credential_name):
            problems["credential_name"] = _("This is not the name of a header.")
        if kind == self.Credential.OAUTH2 and not self.token_url:
            problems["token_url"] = _("OAuth2 needs the address at which tokens are given.")
        if problems:
            raise ValidationError(problems)


class UpstreamState(models.Model):
    """How an upstream fares, as one observer sees it: the prober, or a worker process that calls it."""

    upstream = models.ForeignKey(Upstream, models.CASCADE, related_name="states")
    observer = models.CharField(_("seen by"), max_length=100)
    healthy = models.BooleanField(_("healthy"), default=True)
    #: closed, open or half-open: the observer's breaker.
    breaker = models.CharField(_("breaker"), max_length=10, default="closed")
    latency_us = models.BigIntegerField(_("latency (µs)"), null=True, blank=True)
    #: A word from proxyservices.client.PHASES, where it failed last, and how, in a word of ours.
    phase = models.CharField(_("failed in"), max_length=20, blank=True)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    failed_at = models.DateTimeField(_("last failed at"), null=True, blank=True)
    seen_at = models.DateTimeField(_("seen at"), default=timezone.now)

    class Meta:
        verbose_name = _("state of an upstream")
        verbose_name_plural = _("states of upstreams")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["upstream", "observer"], name="upstream_state_once")]

    def __str__(self) -> str:
        return f"{self.upstream_id} {self.observer}"


class Lease(models.Model):
    """A task that one process at a time has. It keeps ``beat`` moving; whoever sees it stand still may take over."""

    name = models.CharField(max_length=40, primary_key=True)
    #: host:pid; empty where the last one gave it back.
    holder = models.CharField(max_length=100, blank=True)
    beat = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "lease"
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

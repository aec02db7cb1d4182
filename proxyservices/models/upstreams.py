"""Upstreams, and their states as observers see them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.operations import ParameterMapping, ProxyOperation
from proxyservices.models.validators import _HEADER, METHODS, validate_url
from registry import secret_rules
from registry.models import RegistryModel, bounds
from registry.models.bounds import BoundedTextField
from registry.secret_rules import server_of
from registry.secrets import EncryptedField

#: States in which callers can call an operation.
CALLABLE = frozenset((ProxyOperation.State.PUBLISHED, ProxyOperation.State.DEPRECATED))

_STATUSES = RegexValidator(
    r"^\s*[1-5]\d\d(-[1-5]\d\d)?(\s*[,\s]\s*[1-5]\d\d(-[1-5]\d\d)?)*\s*$",
    _("Enter status codes like 200 or 200-399, separated by commas."),
)


class Upstream(RegistryModel):
    """A server behind a proxy operation, with its address, credential and probe."""

    snapshot_unit = ("operation", "operation_id")
    listed = "upstreams"

    class Credential(models.TextChoices):
        NONE = "none", _("none")
        ACCESS_KEY = "access-key", _("access key of MANTRA")
        HEADER = "header", _("custom header")
        BASIC = "basic", _("user and password (basic)")
        BEARER = "bearer", _("bearer token")
        OAUTH2 = "oauth2", _("OAuth2 client credentials")

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="upstreams")
    priority = models.PositiveSmallIntegerField(
        _("priority"),
        default=0,
        validators=[MaxValueValidator(bounds.POSITION)],
        help_text=_("The lowest number is tried first."),
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("Share of the calls among upstreams with the same priority."),
    )
    url = models.CharField(_("address"), max_length=500, validators=[validate_url])
    active = models.BooleanField(_("in use"), default=True)

    credential_kind = models.CharField(
        _("credential"), max_length=20, choices=Credential.choices, default=Credential.ACCESS_KEY
    )
    credential_name = models.CharField(
        _("user, client id or header name"),
        max_length=200,
        blank=True,
        help_text=_("The name that belongs to the secret."),
    )
    credential = EncryptedField(_("key, password or token"), max_length=bounds.CREDENTIAL, blank=True, default="")
    token_url = models.CharField(
        _("token URL"), max_length=500, blank=True, validators=[validate_url], help_text=_("OAuth2 only.")
    )
    scope = models.CharField(_("scope"), max_length=300, blank=True, help_text=_("OAuth2 only."))
    client_certificate = EncryptedField(
        _("client certificate"),
        max_length=bounds.PEM,
        blank=True,
        default="",
        help_text=_("PEM: the private key and the certificate, one after the other."),
    )
    ca_certificate = BoundedTextField(
        _("CA certificate"),
        max_length=bounds.PEM,
        blank=True,
        help_text=_("PEM, if the upstream's certificate is not from a public authority."),
    )

    probe_interval_seconds = models.PositiveIntegerField(
        _("probe interval (seconds)"), default=0, validators=[MaxValueValidator(86_400)], help_text=_("0: no probes.")
    )
    probe_method = models.CharField(
        _("probe method"), max_length=10, choices=[(name, name) for name in METHODS], default="GET"
    )
    probe_path = models.CharField(
        _("probe path"),
        max_length=500,
        blank=True,
        help_text=_(
            "With a leading slash: from the host's root (/healthz). Without: below the address. Empty: the address "
            "itself."
        ),
    )
    probe_expected_statuses = models.CharField(
        _("healthy statuses"), max_length=100, default="200-399", validators=[_STATUSES]
    )
    probe_expected_text = models.CharField(
        _("healthy text"),
        max_length=200,
        blank=True,
        help_text=_("Text that the response must contain. Empty: any response."),
    )

    class Meta:
        verbose_name = _("upstream")
        verbose_name_plural = _("upstreams")
        ordering = ("priority", "id")

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        super().clean()
        kind = self.credential_kind
        problems: dict[str, Any] = {}
        named = (self.Credential.HEADER, self.Credential.BASIC, self.Credential.OAUTH2)
        if kind in named and not self.credential_name:
            problems["credential_name"] = _("Enter the name for this kind of credential.")
        if kind == self.Credential.HEADER and self.credential_name and not _HEADER.match(self.credential_name):
            problems["credential_name"] = _("Enter a valid header name.")
        if kind == self.Credential.OAUTH2 and not self.token_url:
            problems["token_url"] = _("Enter the URL that issues OAuth2 tokens.")
        if problems:
            raise ValidationError(problems)
        secret_rules.check(self)

    def server(self) -> tuple[str, str, int | None]:
        """Return the server that the upstream is on: scheme, host, port."""
        return server_of(self.url)

    def secret_destinations(self) -> frozenset[Hashable]:
        """Return where the credential goes, and as what: the upstream's server, its token URL, the kind.

        The whole token URL counts: on a shared token server, each path may be another agency's.
        """
        return frozenset({(self.server(), self.token_url, self.credential_kind)})


class UpstreamState(models.Model):
    """The health of an upstream as one observer sees it: the prober, or a worker process that calls it."""

    upstream = models.ForeignKey(Upstream, models.CASCADE, related_name="states")
    observer = models.CharField(_("observed by"), max_length=100)
    healthy = models.BooleanField(_("healthy"), default=True)
    #: closed, open or half-open: the observer's circuit breaker.
    breaker = models.CharField(_("circuit breaker"), max_length=10, default="closed")
    latency_us = models.BigIntegerField(_("latency (µs)"), null=True, blank=True)
    #: The last failure: a phase of transport.errors.PHASES, and a reason in one of the bus's words.
    phase = models.CharField(_("failed phase"), max_length=20, blank=True)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    failed_at = models.DateTimeField(_("last failure at"), null=True, blank=True)
    seen_at = models.DateTimeField(_("observed at"), default=timezone.now)

    class Meta:
        verbose_name = _("upstream state")
        verbose_name_plural = _("upstream states")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["upstream", "observer"], name="upstream_state_once")]

    def __str__(self) -> str:
        return f"{self.upstream_id} {self.observer}"


def missing_upstream(operation: ProxyOperation, upstreams: Collection[Upstream]) -> Any:
    """Return the message that a proxy operation may not be called without an upstream, "" if it may not be or has one.

    ``upstreams`` are the rows as they will be. The operation and they are checked together only here.
    """
    if upstreams or operation.state not in CALLABLE:
        return ""
    return _("Add an upstream before you publish the proxy operation.")


def mappings_to_reenter(
    operation: ProxyOperation, upstreams: Iterable[Upstream], mappings: Iterable[ParameterMapping]
) -> list[ParameterMapping]:
    """Return the secret mappings that must be entered again, given an operation's rows as they will be.

    A mapping's secret goes to all upstreams of its operation: one on a new server is a new destination.
    """
    before = {server_of(url) for url in Upstream.objects.filter(operation=operation).values_list("url", flat=True)}
    if {server_of(row.url) for row in upstreams} <= before:
        return []
    return [row for row in mappings if row.secret and not row.parameter and secret_rules.is_stored(row.value)]

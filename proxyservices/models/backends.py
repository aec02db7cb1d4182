"""Backends with their servers, and the servers' states as observers see them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.operations import CALLABLE, ParameterMapping, ProxyOperation
from proxyservices.models.validators import _HEADER, METHODS, validate_url
from registry import secret_rules
from registry.models import Agency, RegistryModel, bounds, code_validator
from registry.models.bounds import BoundedTextField
from registry.secret_rules import ENTER_AGAIN, server_of
from registry.secrets import EncryptedField

_STATUSES = RegexValidator(
    r"^\s*[1-5]\d\d(-[1-5]\d\d)?(\s*[,\s]\s*[1-5]\d\d(-[1-5]\d\d)?)*\s*$",
    _("Enter status codes like 200 or 200-399, separated by commas."),
)


class ServerSettings(RegistryModel):
    """How servers are called and probed: credential, certificates, probe."""

    class Credential(models.TextChoices):
        NONE = "none", _("none")
        ACCESS_KEY = "access-key", _("access key of MANTRA")
        HEADER = "header", _("custom header")
        BASIC = "basic", _("user and password (basic)")
        BEARER = "bearer", _("bearer token")
        OAUTH2 = "oauth2", _("OAuth2 client credentials")

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
            "With a leading slash: from the host's root (/healthz). Without: below the address. ?wsdl: the description "
            "of a SOAP service. Empty: the address itself."
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
        abstract = True

    def check_settings(self) -> None:
        """Check that the credential is complete. Raises ValidationError."""
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

    def destinations_of(self, url: str) -> frozenset[Hashable]:
        """Return where the credential goes, and as what, for a server at ``url``: server, token URL, kind.

        The whole token URL counts: on a shared token server, each path may be another agency's.
        """
        return frozenset({(server_of(url), self.token_url, self.credential_kind)})


#: The columns of ServerSettings.
SETTINGS = tuple(column.name for column in ServerSettings._meta.local_fields)


class Backend(ServerSettings):
    """The servers behind any number of an agency's proxy operations, and how they are called."""

    snapshot_unit = ("backend", "id")
    counted = ("backends", "agency")
    unique_within = ("code", "agency")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="backends")
    code = models.CharField(
        _("code"),
        max_length=63,
        validators=[code_validator],
        help_text=_("A short name within the agency, such as simpeg."),
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    contact = models.CharField(
        _("contact"), max_length=200, blank=True, help_text=_("Whom to contact when the servers fail.")
    )
    max_concurrent_calls = models.PositiveSmallIntegerField(
        _("calls at once (limit)"),
        default=0,
        validators=[MaxValueValidator(1000)],
        help_text=_("Calls of all its operations together, in each worker process. 0: no limit of its own."),
    )

    class Meta:
        verbose_name = _("backend")
        verbose_name_plural = _("backends")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="backend_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"

    def clean(self) -> None:
        super().clean()
        self.check_settings()
        secret_rules.check(self)

    def secret_destinations(self) -> frozenset[Hashable]:
        """Return where the credential goes: to the stored servers without settings of their own."""
        return self.destinations(self.servers.all() if self.pk else ())

    def destinations(self, servers: Iterable[BackendServer]) -> frozenset[Hashable]:
        """Return where the credential would go if these were the servers."""
        found = (self.destinations_of(row.url) for row in servers if not row.own_settings)
        return frozenset().union(*found)

    def callable_operations(self) -> models.QuerySet[Any]:
        """Return the operations of the backend that callers can call."""
        found: models.QuerySet[Any] = self.operations.filter(state__in=CALLABLE, draft_of=None)
        return found


class BackendServer(ServerSettings):
    """One address of a backend. It has settings of its own, or those of its backend."""

    snapshot_unit = ("backend", "backend_id")
    listed = "backend_servers"

    backend = models.ForeignKey(Backend, models.CASCADE, verbose_name=_("backend"), related_name="servers")
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
        help_text=_("Share of the calls among servers with the same priority."),
    )
    url = models.CharField(_("address"), max_length=500, validators=[validate_url])
    active = models.BooleanField(_("in use"), default=True)
    own_settings = models.BooleanField(
        _("settings of its own"),
        default=False,
        help_text=_("This server has its own credential, certificates and probe instead of the backend's."),
    )

    class Meta:
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        ordering = ("priority", "id")

    def __str__(self) -> str:
        return self.url

    @property
    def settings(self) -> ServerSettings:
        """The settings with which the server is called and probed."""
        return self if self.own_settings else self.backend

    @classmethod
    def check_list(cls, backend: Backend, rows: Sequence[BackendServer]) -> None:
        """Check the number of servers, that callers have one, and that no stored secret goes to a new server."""
        super().check_list(backend, rows)
        if not backend.pk:
            return
        if not rows and backend.callable_operations().exists():
            raise ValidationError(_("Published operations use this backend. Keep at least one server."))
        new = backend.destinations(rows) - backend.destinations(cls.objects.filter(backend=backend.pk))
        if new and secret_rules.stored_secrets(backend):
            raise ValidationError(ENTER_AGAIN)
        if mappings := mappings_sent_on(backend, rows):
            raise ValidationError(
                _(
                    "Operations send secrets of their own to these servers: %(names)s. Move the address under “Address "
                    "change”, where you enter them again, or make a new backend and give it to the operations."
                ),
                params={"names": ", ".join(sorted({mapping.operation.code for mapping in mappings}))},
            )

    def clean(self) -> None:
        super().clean()
        if self.own_settings:
            self.check_settings()
            secret_rules.check(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.own_settings:  # a secret that is not used is not kept
            unused = BackendServer()
            for name in SETTINGS:
                setattr(self, name, getattr(unused, name))
        super().save(*args, **kwargs)

    def take_own_settings(self) -> None:
        """Give the server a copy of its backend's settings."""
        for name in SETTINGS:
            setattr(self, name, getattr(self.settings, name))
        self.own_settings = True

    def server(self) -> tuple[str, str, int | None]:
        """Return the server that the address is on: scheme, host, port."""
        return server_of(self.url)

    def secret_destinations(self) -> frozenset[Hashable]:
        """Return where the server's credential goes, and as what."""
        return self.settings.destinations_of(self.url)


class ServerState(models.Model):
    """The health of a server as one observer sees it: the prober, or a worker process that calls it."""

    server = models.ForeignKey(BackendServer, models.CASCADE, related_name="states")
    observer = models.CharField(_("observed by"), max_length=100)
    healthy = models.BooleanField(_("healthy"), default=True)
    #: closed, open or half-open: the observer's circuit breaker.
    breaker = models.CharField(_("circuit breaker"), max_length=10, default="closed")
    latency_us = models.BigIntegerField(_("latency (µs)"), null=True, blank=True)
    #: The last failure: a phase of transport.errors.PHASES, and a reason in one of the bus's words.
    phase = models.CharField(_("failed phase"), max_length=20, blank=True)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    failed_at = models.DateTimeField(_("last failure at"), null=True, blank=True)
    #: When the certificate ends that the server showed the prober; None without TLS.
    certificate_ends = models.DateTimeField(_("certificate ends"), null=True, blank=True)
    #: When the observer's judgement last changed.
    since = models.DateTimeField(_("since"), null=True, blank=True)
    seen_at = models.DateTimeField(_("observed at"), default=timezone.now)

    class Meta:
        verbose_name = _("server state")
        verbose_name_plural = _("server states")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["server", "observer"], name="server_state_once")]

    def __str__(self) -> str:
        return f"{self.server_id} {self.observer}"


def mappings_to_reenter(operation: ProxyOperation, mappings: Iterable[ParameterMapping]) -> list[ParameterMapping]:
    """Return the secret mappings that must be entered again, given an operation and its mappings as they will be.

    A mapping's secret goes to all servers of its operation's backend: one that is new is a new destination.
    """
    before = _servers(BackendServer.objects.filter(backend__operations=operation.pk))
    if _servers(BackendServer.objects.filter(backend=operation.backend_id)) <= before:
        return []
    return [row for row in mappings if row.secret and not row.parameter and secret_rules.is_stored(row.value)]


def mappings_sent_on(backend: Backend, rows: Iterable[BackendServer]) -> list[ParameterMapping]:
    """Return the secret mappings of a backend's operations that would go to a new server if these were its rows."""
    if {row.server() for row in rows} <= _servers(BackendServer.objects.filter(backend=backend)):
        return []
    secrets = ParameterMapping.objects.filter(operation__backend=backend, secret=True, parameter="")
    return [row for row in secrets.select_related("operation") if row.value]


def _servers(rows: models.QuerySet[BackendServer]) -> set[Hashable]:
    return {server_of(url) for url in rows.values_list("url", flat=True)}

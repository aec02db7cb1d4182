"""Proxy services: a stable alias in front of another system's web service."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.models import Definition, Operation, Parameter
from registry.secrets import EncryptedField

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
#: What stands for a parameter's value in a path.
_MARK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})\}")
_STATUSES = RegexValidator(
    r"^\s*[1-5]\d\d(-[1-5]\d\d)?(\s*[,\s]\s*[1-5]\d\d(-[1-5]\d\d)?)*\s*$",
    _("Write statuses like 200 or 200-399, parted by commas."),
)


def validate_address(text: str) -> None:
    """An http or https address with a host. Names without a dot are common inside an agency's network."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine or any(ord(letter) <= 32 or ord(letter) == 127 for letter in text):
        raise ValidationError(_("Write an address like https://layanan.contoh.go.id/api."))
    if "@" in parts.netloc:
        raise ValidationError(_("Put the credential into its own field, not into the address."))


def header_names(text: str) -> list[str]:
    """The names of headers written in ``text``, parted by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_headers(text: str) -> None:
    if not all(_HEADER.match(name) for name in header_names(text)):
        raise ValidationError(_("Write names of headers, one on a line."))


def validate_methods(text: str) -> None:
    if not header_names(text) or any(name not in METHODS for name in header_names(text)):
        raise ValidationError(_("Write HTTP methods: %(names)s.") % {"names": ", ".join(METHODS)})


class ProxyOperation(Operation):
    class Style(models.TextChoices):
        AS_IS = "as-is", _("as it is: every request below the alias is handed on untouched")
        REST = "rest", _("REST: declared parameters become path, query, header, form or JSON body")
        SOAP = "soap", _("SOAP: an operation of an upstream's WSDL")
        LEGACY_REST = "legacy-rest", _("MANTRA 1.99x: rest")
        LEGACY_RESTFULL = "legacy-restfull", _("MANTRA 1.99x: restfull")
        LEGACY_RESTFULLPAR = "legacy-restfullpar", _("MANTRA 1.99x: restfullpar")
        LEGACY_GET = "legacy-get", _("MANTRA 1.99x: get")
        LEGACY_POST = "legacy-post", _("MANTRA 1.99x: post")
        LEGACY_SOAP = "legacy-soap", _("MANTRA 1.99x: soap")

    style = models.CharField(_("style"), max_length=20, choices=Style.choices, default=Style.REST)
    method = models.CharField(
        _("HTTP method"),
        max_length=10,
        choices=[(name, name) for name in METHODS if name != "HEAD"],
        default="GET",
        help_text=_("With which the upstream is asked; style REST only."),
    )
    methods = models.CharField(
        _("methods handed on"),
        max_length=100,
        default=", ".join(METHODS),
        validators=[validate_methods],
        help_text=_("Style as it is only."),
    )
    path = models.CharField(
        _("path"),
        max_length=500,
        blank=True,
        help_text=_(
            "What follows the upstream's address. REST: may hold {parameter}. SOAP: the operation's name. "
            "MANTRA 1.99x: the operation's name there; for soap it may read name#depth#block."
        ),
    )
    request_headers = models.TextField(
        _("request headers handed on"),
        blank=True,
        default="Accept, Accept-Language, Content-Type, If-Match, If-Modified-Since, If-None-Match, "
        "If-Unmodified-Since, Prefer, Range, SOAPAction",
        validators=[validate_headers],
        help_text=_("Names, one on a line. Style as it is only."),
    )
    response_headers = models.TextField(
        _("answer headers handed back"),
        blank=True,
        default="Accept-Ranges, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, "
        "Content-Range, ETag, Expires, Last-Modified, Location, Retry-After, Vary",
        validators=[validate_headers],
        help_text=_("Names, one on a line. Content-Type always goes back. Style as it is only."),
    )
    pass_credentials = models.BooleanField(
        _("hand on the caller's credentials"),
        default=False,
        help_text=_("The caller's AccessKey, Authorization and Cookie headers go on to the upstream."),
    )
    time_cap_ms = models.PositiveIntegerField(
        _("time cap (ms)"),
        default=10_000,
        validators=[MinValueValidator(50), MaxValueValidator(3_600_000)],
        help_text=_("For the whole call: every attempt, to the last byte."),
    )
    connect_cap_ms = models.PositiveIntegerField(
        _("time for connecting (ms)"), default=3_000, validators=[MinValueValidator(50), MaxValueValidator(60_000)]
    )
    read_cap_ms = models.PositiveIntegerField(
        _("time between two bytes (ms)"),
        default=10_000,
        validators=[MinValueValidator(50), MaxValueValidator(600_000)],
    )
    size_cap = models.PositiveIntegerField(
        _("size cap (bytes)"), default=10_000_000, help_text=_("Of an answer, and of a body that is handed on.")
    )
    concurrency = models.PositiveSmallIntegerField(
        _("calls at once"),
        default=0,
        help_text=_("In each worker process; 0: as many as half of its threads, which is also the most."),
    )
    retries = models.PositiveSmallIntegerField(
        _("retries"),
        default=1,
        validators=[MaxValueValidator(5)],
        help_text=_("Only where nothing can happen twice: reading, or a request that was not sent yet."),
    )
    stale_seconds = models.PositiveIntegerField(
        _("last good answer (seconds)"),
        default=0,
        help_text=_("How old an answer may be that stands in while every upstream is down; 0: none does."),
    )
    ignored = models.TextField(
        _("not compared"),
        blank=True,
        help_text=_(
            "What differs in every answer and is left out when an address is rehearsed, one path on a line: "
            "meta.time, data.*.id, header:Vary. * stands for anything."
        ),
    )

    class Meta:
        verbose_name = _("proxy operation")
        verbose_name_plural = _("proxy operations")

    @property
    def writes(self) -> bool:
        """Whether a call may change something at the upstream, and is therefore taken by POST alone."""
        return self.style == self.Style.REST and self.method != "GET"

    def declare_missing(self) -> list[str]:
        """Declare a text parameter for each mark in a ``rest`` path that nothing fills; gives their names."""
        if self.style != self.Style.REST:
            return []
        taken = {name.lower() for name in self.parameters.values_list("name", flat=True)}
        mapped = self.mappings.filter(place=Mapping.Place.PATH).values_list("name", flat=True)
        filled = taken | {name.strip("{}").lower() for name in mapped}
        missing: list[str] = []
        for name in _MARK.findall(self.path):
            if name.lower() not in filled:
                filled.add(name.lower())
                missing.append(name)
        for position, name in enumerate(missing, start=len(taken)):
            Parameter.objects.create(operation=self, position=position, name=name)
        return missing

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.PROXY
        super().save(*args, **kwargs)


class Mapping(Definition):
    """Where something goes in the upstream's request: a declared parameter's value, a constant or a secret.

    A declared parameter without a mapping goes where its name stands in the path, else into the query
    string (GET, DELETE) or the form (POST, PUT, PATCH), under its own name.
    """

    class Place(models.TextChoices):
        PATH = "path", _("path")
        QUERY = "query", _("query string")
        HEADER = "header", _("header")
        FORM = "form", _("form")
        JSON = "json", _("JSON body")

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="mappings")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    place = models.CharField(_("place"), max_length=10, choices=Place.choices, default=Place.QUERY)
    name = models.CharField(
        _("name there"), max_length=200, help_text=_("In a JSON body a dot goes one level down: pegawai.nip.")
    )
    parameter = models.CharField(
        _("parameter"), max_length=63, blank=True, help_text=_("Whose value it is; empty for a fixed value.")
    )
    value = EncryptedField(_("fixed value"), blank=True, default="", help_text=_("A constant or a secret."))
    secret = models.BooleanField(
        _("secret"), default=False, help_text=_("The fixed value is shown to nobody again, and in no export.")
    )

    class Meta:
        verbose_name = _("mapping")
        verbose_name_plural = _("mappings")
        ordering = ("position", "id")

    def __str__(self) -> str:
        return f"{self.place}: {self.name}"

    def clean(self) -> None:
        super().clean()
        if self.place == self.Place.HEADER and not _HEADER.match(self.name):
            raise ValidationError({"name": _("This is not the name of a header.")})
        if bool(self.parameter) == bool(str(self.value or "")):
            raise ValidationError({"value": _("Name a parameter, or give a fixed value: one of the two.")})


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


class Contract(Definition):
    """A document that describes an upstream (WSDL, XSD, OpenAPI), kept here so that no call waits for it."""

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="contracts")
    url = models.CharField(_("address"), max_length=1000)
    #: True for the document that the others hang from.
    main = models.BooleanField(_("main document"), default=False)
    content = models.TextField(_("content"))
    fetched_at = models.DateTimeField(_("fetched at"), default=timezone.now)

    class Meta:
        verbose_name = _("contract")
        verbose_name_plural = _("contracts")
        ordering = ("-main", "id")
        constraints = [models.UniqueConstraint(fields=["operation", "url"], name="contract_once")]

    def __str__(self) -> str:
        return self.url


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

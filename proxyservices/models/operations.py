"""Proxy operations, their parameter mappings and their service descriptions."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Sum
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from proxyservices.models.validators import (
    _HEADER,
    METHODS,
    validate_headers,
    validate_methods,
    validate_records_path,
)
from registry import secret_rules
from registry.models import Operation, Parameter, RegistryModel, bounds
from registry.models.bounds import BoundedTextField
from registry.models.changes import read_once
from registry.secrets import EncryptedField

#: A placeholder for a parameter's value in a path.
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})\}")


#: How the source of a mapping begins that is a value of the grant: no parameter's name has a dot.
GRANT = "grant."
_GRANT_VALUE = re.compile(r"grant\.([a-z_][a-z0-9_]{0,22})")


def grant_value(parameter: str) -> str:
    """Return the name of the value of the grant that a mapping's source is; "" for a parameter."""
    return parameter.removeprefix(GRANT) if parameter.startswith(GRANT) else ""


#: The highest size limit. What the bus itself reads of a response has a lower one: proxyservices/decoders/limits.py.
MAX_BODY_BYTES = 1_000_000_000
#: Bytes of a service description.
MAX_DESCRIPTION_BYTES = 4_000_000


#: States in which callers can call an operation.
CALLABLE = frozenset((Operation.State.PUBLISHED, Operation.State.DEPRECATED))


class ProxyOperation(Operation):
    """An operation that forwards its calls to the servers of a backend."""

    class Style(models.TextChoices):
        PASS_THROUGH = "pass-through", _("pass-through: requests below the alias are forwarded unchanged")
        REST = "rest", _("REST: declared parameters become path, query, header, form or JSON body")
        SOAP = "soap", _("SOAP: an operation of an upstream's WSDL")
        LEGACY_REST = "legacy-rest", _("MANTRA 1.99x: rest")
        LEGACY_RESTFULL = "legacy-restfull", _("MANTRA 1.99x: restfull")
        LEGACY_RESTFULLPAR = "legacy-restfullpar", _("MANTRA 1.99x: restfullpar")
        LEGACY_GET = "legacy-get", _("MANTRA 1.99x: get")
        LEGACY_POST = "legacy-post", _("MANTRA 1.99x: post")
        LEGACY_SOAP = "legacy-soap", _("MANTRA 1.99x: soap")

    backend = models.ForeignKey(
        "proxyservices.Backend",
        models.PROTECT,
        verbose_name=_("backend"),
        related_name="operations",
        null=True,
        blank=True,
    )
    style = models.CharField(_("style"), max_length=20, choices=Style.choices, default=Style.REST)
    method = models.CharField(
        _("HTTP method"),
        max_length=10,
        choices=[(name, name) for name in METHODS if name != "HEAD"],
        default="GET",
        help_text=_("HTTP method of the request to the upstream. Only for the REST style."),
    )
    allowed_methods = models.CharField(
        _("allowed methods"),
        max_length=100,
        default=", ".join(METHODS),
        validators=[validate_methods],
        help_text=_("Only for the pass-through style."),
    )
    path = models.CharField(
        _("path"),
        max_length=500,
        blank=True,
        help_text=_(
            "Appended to the upstream's address. REST: may contain {parameter}. SOAP: the operation's name. MANTRA "
            "1.99x: the operation's name there; for soap also name#depth#block."
        ),
    )
    forwarded_request_headers = BoundedTextField(
        _("forwarded request headers"),
        max_length=bounds.NAME_LIST,
        blank=True,
        default="Accept, Accept-Language, Content-Type, If-Match, If-Modified-Since, If-None-Match, "
        "If-Unmodified-Since, Prefer, Range, SOAPAction",
        validators=[validate_headers],
        help_text=_("Names, one per line. Only for the pass-through style."),
    )
    returned_response_headers = BoundedTextField(
        _("returned response headers"),
        max_length=bounds.NAME_LIST,
        blank=True,
        default="Accept-Ranges, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, "
        "Content-Range, ETag, Expires, Last-Modified, Location, Retry-After, Vary",
        validators=[validate_headers],
        help_text=_("Names, one per line. Content-Type is always returned. Only for the pass-through style."),
    )
    forward_credentials = models.BooleanField(
        _("forward caller credentials"),
        default=False,
        help_text=_("Forwards the caller's AccessKey, Authorization and Cookie headers to the upstream."),
    )
    timeout_ms = models.PositiveIntegerField(
        _("time limit (ms)"),
        default=10_000,
        validators=[MinValueValidator(50), MaxValueValidator(3_600_000)],
        help_text=_("For the whole call: all attempts, until the last byte."),
    )
    connect_timeout_ms = models.PositiveIntegerField(
        _("connect timeout (ms)"), default=3_000, validators=[MinValueValidator(50), MaxValueValidator(60_000)]
    )
    read_timeout_ms = models.PositiveIntegerField(
        _("read timeout (ms)"),
        default=10_000,
        validators=[MinValueValidator(50), MaxValueValidator(600_000)],
    )
    max_body_bytes = models.PositiveIntegerField(
        _("size limit (bytes)"),
        default=10_000_000,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_BODY_BYTES)],
        help_text=_("For responses, and for request bodies that are forwarded."),
    )
    max_concurrent_calls = models.PositiveSmallIntegerField(
        _("calls at once (limit)"),
        default=0,
        validators=[MaxValueValidator(1000)],
        help_text=_("In each worker process. 0: half of its threads, which is also the maximum."),
    )
    retries = models.PositiveSmallIntegerField(
        _("retries"),
        default=1,
        validators=[MaxValueValidator(5)],
        help_text=_("Only requests that are safe to repeat: reads, and requests that were not sent."),
    )
    stale_if_error_seconds = models.PositiveIntegerField(
        _("serve stale for (seconds)"),
        default=0,
        validators=[MaxValueValidator(bounds.STALE_SECONDS)],
        help_text=_(
            "Serve the last good response for up to this many seconds when all upstreams are down. 0 disables it."
        ),
    )
    records_path = models.CharField(
        _("records path"),
        max_length=500,
        blank=True,
        validators=[validate_records_path],
        help_text=_(
            "Names that lead to the records of a response, for CSV, NDJSON and Excel: hasil.data.orang. A single dot: "
            "the response itself."
        ),
    )
    ignored_paths = BoundedTextField(
        _("not compared"),
        max_length=bounds.NAME_LIST,
        blank=True,
        help_text=_(
            "Parts that differ in every response and are ignored in rehearsals, one path per line: meta.time, "
            "data.*.id, header:Vary. * matches any name."
        ),
    )

    class Meta:
        verbose_name = _("proxy operation")
        verbose_name_plural = _("proxy operations")

    @property
    def writes(self) -> bool:
        """True if a call may change data at the upstream, so that callers must use POST."""
        return self.style == self.Style.REST and self.method != "GET"

    def clean(self) -> None:
        super().clean()
        if self.backend is not None and self.backend.agency_id != bounds.follow(self, "service__agency"):
            raise ValidationError({"backend": _("Choose a backend of the agency that offers the service.")})
        if self.state in CALLABLE and (
            self.backend is None or not read_once("backend", self.backend.pk, self.backend.servers.exists)
        ):
            raise ValidationError({"backend": _("Choose a backend with a server before you publish the operation.")})

    @property
    def searched_names(self) -> frozenset[str]:
        mapped = (each.name for each in self.mappings.all() if each.parameter and not each.grant_value)
        return super().searched_names | {name.rpartition(".")[2].lower() for name in mapped}

    @property
    def grant_values(self) -> frozenset[str]:
        return frozenset(mapping.grant_value for mapping in self.mappings.all() if mapping.grant_value)

    @property
    def limits_fields(self) -> bool:
        return self.style != self.Style.PASS_THROUGH

    def undeclared(self, parameters: Collection[str], mappings: Iterable[ParameterMapping]) -> list[str]:
        """Return the placeholders in a ``rest`` path for which there is neither a parameter nor a mapping."""
        if self.style != self.Style.REST:
            return []
        mapped = [each.name.strip("{}") for each in mappings if each.location == ParameterMapping.Location.PATH]
        filled = {name.lower() for name in (*parameters, *mapped)}
        placeholders = {name.lower(): name for name in reversed(_PLACEHOLDER.findall(self.path))}
        return [name for lower, name in reversed(placeholders.items()) if lower not in filled]

    def declare_missing(self) -> list[str]:
        """Declare a text parameter for each placeholder in a ``rest`` path without a source. Return their names."""
        taken = list(self.parameters.values_list("name", flat=True))
        missing = self.undeclared(taken, self.mappings.all())
        for position, name in enumerate(missing, start=len(taken)):
            Parameter.objects.create(operation=self, position=position, name=name)
        return missing

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.kind = Operation.Kind.PROXY
        super().save(*args, **kwargs)


class ParameterMapping(RegistryModel):
    """The location of a value in the upstream's request: of a declared parameter, a constant or a secret.

    A declared parameter without a mapping replaces its placeholder in the path. Without a placeholder it goes into the
    query string (GET, DELETE) or the form (POST, PUT, PATCH), under its own name.
    """

    snapshot_unit = ("operation", "operation_id")
    listed = "mappings"

    class Location(models.TextChoices):
        PATH = "path", _("path")
        QUERY = "query", _("query string")
        HEADER = "header", _("header")
        FORM = "form", _("form")
        JSON = "json", _("JSON body")

    operation = models.ForeignKey(ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="mappings")
    position = models.PositiveSmallIntegerField(
        _("position"), default=0, validators=[MaxValueValidator(bounds.POSITION)]
    )
    location = models.CharField(_("location"), max_length=10, choices=Location.choices, default=Location.QUERY)
    name = models.CharField(
        _("upstream name"), max_length=200, help_text=_("In a JSON body, a dot starts a nested level: pegawai.nip.")
    )
    parameter = models.CharField(
        _("parameter"),
        max_length=63,
        blank=True,
        help_text=_(
            "The parameter that gives the value; empty for a fixed value. grant.wilayah: a value of the caller's grant."
        ),
    )
    value = EncryptedField(
        _("fixed value"),
        max_length=bounds.CREDENTIAL,
        blank=True,
        default="",
        help_text=_("A constant or a secret."),
    )
    secret = models.BooleanField(
        _("secret"), default=False, help_text=_("The fixed value is never shown again and is not exported.")
    )

    class Meta:
        verbose_name = _("parameter mapping")
        verbose_name_plural = _("parameter mappings")
        ordering = ("position", "id")

    def __str__(self) -> str:
        return f"{self.location}: {self.name}"

    def clean(self) -> None:
        super().clean()
        if self.location == self.Location.HEADER and not _HEADER.match(self.name):
            raise ValidationError({"name": _("Enter a valid header name.")})
        if bool(self.parameter) == bool(str(self.value or "")):
            raise ValidationError({"value": _("Enter a parameter or a fixed value, not both.")})
        if "." in self.parameter and not _GRANT_VALUE.fullmatch(self.parameter):
            text = _("Write grant. and a name of at most 23 small letters, digits and _ for a value of the grant.")
            raise ValidationError({"parameter": text})
        operation = getattr(self, "operation", None)
        if self.grant_value and operation is not None and operation.style == ProxyOperation.Style.PASS_THROUGH:
            text = _("The bus passes requests on unread, so it cannot add a value of the grant. Choose another style.")
            raise ValidationError({"parameter": text})
        secret_rules.check(self)

    @property
    def grant_value(self) -> str:
        """The name of the value of the grant that is sent; "" for a parameter or a fixed value."""
        return grant_value(self.parameter)

    def secret_destinations(self) -> frozenset[Hashable]:
        """Return the people who may read the value, beside the servers (see mappings_to_reenter)."""
        return frozenset() if self.secret else frozenset({"everyone"})


def undeclared_message(
    operation: ProxyOperation, parameters: Collection[str], mappings: Iterable[ParameterMapping]
) -> str:
    """Return the message about placeholders in an operation's path that nothing fills, "" if there are none.

    ``parameters`` and ``mappings`` are the rows as they will be. The operation and they are checked together only here.
    """
    missing = operation.undeclared(parameters, mappings)
    if not missing:
        return ""
    return gettext("No parameter is declared for %(marks)s.") % {"marks": ", ".join(f"{{{name}}}" for name in missing)}


class ServiceDescription(RegistryModel):
    """A document about an upstream (WSDL, XSD, OpenAPI), stored so that no call waits for it."""

    snapshot_unit = ("operation", "operation_id")
    listed = "descriptions"

    operation = models.ForeignKey(
        ProxyOperation, models.CASCADE, verbose_name=_("operation"), related_name="descriptions"
    )
    url = models.CharField(_("address"), max_length=1000)
    #: True for the document that imports the others.
    main = models.BooleanField(_("main document"), default=False)
    content = BoundedTextField(_("content"), max_length=MAX_DESCRIPTION_BYTES)
    fetched_at = models.DateTimeField(_("fetched at"), default=timezone.now)

    class Meta:
        verbose_name = _("description document")
        verbose_name_plural = _("description documents")
        ordering = ("-main", "id")
        constraints = [models.UniqueConstraint(fields=["operation", "url"], name="description_once")]

    @classmethod
    def check_list(cls, operation: ProxyOperation, rows: Sequence[ServiceDescription]) -> None:
        """Check the number of documents, and their length together with those of the agency's other operations."""
        super().check_list(operation, rows)
        agency = bounds.follow(operation, "service__agency")
        others = cls.objects.filter(operation__service__agency=agency, operation__draft_of=None)
        others = others.exclude(operation__in=[operation.pk or 0, operation.draft_of_id or 0])
        stored = others.aggregate(length=Sum(Length("content")))["length"] or 0
        bounds.check_text(stored + sum(len(row.content) for row in rows))

    def __str__(self) -> str:
        return self.url


#: Styles that call a SOAP operation, and styles with an upstream that may have a description.
SOAP_STYLES = frozenset((ProxyOperation.Style.SOAP, ProxyOperation.Style.LEGACY_SOAP))
DESCRIBED_STYLES = frozenset((ProxyOperation.Style.PASS_THROUGH, *SOAP_STYLES))

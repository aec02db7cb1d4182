"""Proxy services: a stable alias in front of another system's web service."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from proxyservices.models.validators import _HEADER, METHODS, validate_headers, validate_methods
from registry.models import Definition, Operation, Parameter
from registry.secrets import EncryptedField

#: What stands for a parameter's value in a path.
_MARK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,62})\}")


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


#: Styles that call a SOAP operation, and those whose upstream may have a description.
_SOAP = frozenset((ProxyOperation.Style.SOAP, ProxyOperation.Style.LEGACY_SOAP))
_DESCRIBED = frozenset((ProxyOperation.Style.AS_IS, *_SOAP))

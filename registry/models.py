"""The book: agencies and their people, what they offer, who may call it, and every call that was made."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Any, ClassVar

import limits
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import secrets, values

code_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,62}$",
    _("Use letters, digits, - and _ only, beginning with a letter or a digit: it becomes part of an address."),
)
#: Operations imported from 1.99x may hold a space, a dot or a colon in their names.
operation_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-.: ]{0,126}$",
    _("Use letters, digits, - and _ only, beginning with a letter or a digit: it becomes part of an address."),
)
column_validator = RegexValidator(
    r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
    _("Use letters, digits and _ only, beginning with a letter: it is the :name in the SQL and in the address."),
)


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks written in ``text``, parted by commas, spaces or lines. Raises ValueError."""
    return [ipaddress.ip_network(part, strict=False) for part in re.split(r"[\s,;]+", text) if part]


def names(text: str) -> list[str]:
    """The names written in ``text``, parted by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_networks(text: str) -> None:
    try:
        networks(text)
    except ValueError:
        raise ValidationError(
            _("Write networks like 10.1.0.0/16 or single addresses like 10.1.2.3, one on a line.")
        ) from None


def validate_quota(text: str) -> None:
    try:
        limits.parse_many(text)
    except ValueError:
        raise ValidationError(_("Write a quota like 1000/day, or several: 10/second; 1000/day.")) from None


class DefinitionQuerySet(models.QuerySet[Any]):
    """A change that goes past save() must reach the workers too."""

    def quietly(self, **kwargs: Any) -> int:
        """Update what no worker holds in memory."""
        return super().update(**kwargs)

    def update(self, **kwargs: Any) -> int:
        changed = super().update(**kwargs)
        SnapshotVersion.bump()
        return changed

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        made = super().bulk_create(*args, **kwargs)
        SnapshotVersion.bump()
        return made

    def delete(self) -> tuple[int, dict[str, int]]:
        gone = super().delete()
        SnapshotVersion.bump()
        return gone


class Definition(models.Model):
    """Base of all that the workers hold in memory: saving or deleting it moves the version row on."""

    objects = DefinitionQuerySet.as_manager()
    #: (field, the foreign key within which it names one row only). Addresses know no case, so neither does this.
    once: ClassVar[tuple[str, str] | None] = None

    class Meta:
        abstract = True

    def clean(self) -> None:
        """The constraint says the same to whoever comes past this; here it is said at the field."""
        super().clean()
        if self.once is None:
            return
        name, within = self.once
        value, scope = getattr(self, name), getattr(self, f"{within}_id", None) if within else None
        if not value or (within and scope is None):
            return
        model = type(self)._meta.get_field(name).model
        twins = model._default_manager.filter(**{f"{name}__iexact": value}).exclude(pk=self.pk)
        if (twins.filter(**{within: scope}) if within else twins).exists():
            raise ValidationError({name: _("There is one of this name already; capital letters make no difference.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        SnapshotVersion.bump()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        gone = super().delete(*args, **kwargs)
        SnapshotVersion.bump()
        return gone


class SnapshotVersion(models.Model):
    """One row, raised by every change of a definition; the workers poll it."""

    version = models.BigIntegerField(default=1)

    class Meta:
        verbose_name = "snapshot version"

    def __str__(self) -> str:
        return str(self.version)

    @classmethod
    def bump(cls) -> None:
        if not cls.objects.filter(pk=1).update(version=models.F("version") + 1):
            cls.objects.get_or_create(pk=1)


# ------------------------------------------------------------------------------ agencies, people


class Agency(Definition):
    once = ("code", "")

    #: Addresses know no case: bkn and BKN are one.
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    name = models.CharField(_("name"), max_length=200)
    website = models.URLField(_("website"), blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    parent = models.ForeignKey(
        "self", models.PROTECT, verbose_name=_("parent agency"), null=True, blank=True, related_name="children"
    )

    class Meta:
        verbose_name = _("agency")
        verbose_name_plural = _("agencies")
        ordering = ("code",)
        constraints = [models.UniqueConstraint(Lower("code"), name="agency_code_once")]

    def __str__(self) -> str:
        return self.name or self.code

    def clean(self) -> None:
        super().clean()
        above, seen = self.parent, {self.pk}
        while above is not None:
            if above.pk in seen:
                raise ValidationError({"parent": _("An agency cannot stand above itself.")})
            seen.add(above.pk)
            above = above.parent


class User(AbstractUser):
    """Somebody who signs in to the admin: the agency decides what the user sees, the role what the user may do."""

    agency = models.ForeignKey(
        Agency,
        models.PROTECT,
        verbose_name=_("agency"),
        null=True,
        blank=True,
        related_name="users",
        help_text=_("Only administrators and supervisors may be without an agency."),
    )

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    @property
    def sees_all(self) -> bool:
        """Administrators and supervisors see every agency's book."""
        if not hasattr(self, "_sees_all"):
            self._sees_all = self.is_superuser or self.groups.filter(name__in=("Administrator", "Supervisor")).exists()
        return self._sees_all


class ApiToken(models.Model):
    """A user's token for the management API. Shown once, when it is made; here lies its digest."""

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="api_tokens")
    public = models.CharField(_("begins with"), max_length=20, editable=False)
    digest = models.CharField(max_length=80, unique=True, editable=False)
    created_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.public

    @classmethod
    def issue(cls, user: User, expires_at: datetime) -> tuple[ApiToken, str]:
        """Make a new token and return it with its plain text, which is never to be had again."""
        plain = secrets.new_key()
        token = cls.objects.create(
            user=user, public=secrets.public_part(plain), digest=secrets.key_digest(plain), expires_at=expires_at
        )
        return token, plain

    @classmethod
    def owner(cls, plain: str) -> User | None:
        """The active user to whom a token belongs, or None."""
        found = cls.objects.select_related("user").filter(
            digest__in=secrets.key_digests(plain), expires_at__gt=timezone.now(), user__is_active=True
        )
        token = found.first()
        return token.user if token is not None else None


# -------------------------------------------------------------------------------------- services


class Service(Definition):
    once = ("code", "agency")

    class Classification(models.TextChoices):
        OPEN = "open", _("open")
        LIMITED = "limited", _("limited")
        CLOSED = "closed", _("closed")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="services")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    tags = models.CharField(_("tags"), max_length=200, blank=True, help_text=_("Words parted by commas."))
    classification = models.CharField(
        _("data classification"), max_length=10, choices=Classification.choices, default=Classification.LIMITED
    )
    contact = models.CharField(_("contact"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="service_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"


class Operation(Definition):
    """What can be called. Data and proxy operations are rows of this and of a table of their own room."""

    once = ("code", "service")

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        DEPRECATED = "deprecated", _("deprecated")
        RETIRED = "retired", _("retired")

    class Access(models.TextChoices):
        RESTRICTED = "restricted", _("restricted: with key and grant")
        OPEN = "open", _("open: anybody, without a key")

    class Kind(models.TextChoices):
        DATA = "data", _("data")
        PROXY = "proxy", _("proxy")

    service = models.ForeignKey(Service, models.PROTECT, verbose_name=_("service"), related_name="operations")
    code = models.CharField(_("code"), max_length=127, validators=[operation_validator])
    title = models.CharField(_("title"), max_length=200, blank=True)
    description = models.TextField(_("description"), blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, editable=False)
    access = models.CharField(_("access"), max_length=10, choices=Access.choices, default=Access.RESTRICTED)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT)
    sunset = models.DateField(
        _("sunset date"), null=True, blank=True, help_text=_("The day on which a deprecated operation will end.")
    )
    cache_seconds = models.PositiveIntegerField(
        _("cache (seconds)"),
        default=0,
        help_text=_("How long callers may keep an answer; 0: not at all. From 1 second on, answers carry an ETag."),
    )
    revision = models.PositiveIntegerField(_("revision"), default=0, editable=False)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("operation")
        verbose_name_plural = _("operations")
        ordering = ("service__agency__code", "service__code", "code")
        constraints = [models.UniqueConstraint("service", Lower("code"), name="operation_code_once")]

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return f"{self.service.agency.code}/{self.service.code}/{self.code}"

    def clean(self) -> None:
        super().clean()
        if self.sunset and self.state in (self.State.DRAFT, self.State.PUBLISHED):
            raise ValidationError({"sunset": _("Only a deprecated operation has a sunset date: set the state too.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.revision += 1
        super().save(*args, **kwargs)


class Parameter(Definition):
    once = ("name", "operation")

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        BOOLEAN = "boolean", _("yes/no")
        DATE = "date", _("date")
        DATETIME = "datetime", _("date and time")
        CHOICE = "choice", _("choice")
        NIK = "nik", _("NIK")
        NPWP = "npwp", _("NPWP")

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="parameters")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    name = models.CharField(_("name"), max_length=63, validators=[column_validator])
    type = models.CharField(_("type"), max_length=10, choices=Type.choices, default=Type.TEXT)
    required = models.BooleanField(_("required"), default=True)
    default = models.CharField(_("default"), max_length=500, blank=True)
    pattern = models.CharField(
        _("pattern"), max_length=500, blank=True, help_text=_("A regular expression that the whole value must match.")
    )
    min = models.CharField(_("at least"), max_length=50, blank=True)
    max = models.CharField(_("at most"), max_length=50, blank=True)
    choices = models.TextField(_("choices"), blank=True, help_text=_("One on a line."))
    subject = models.BooleanField(
        _("identifies a person"), default=False, help_text=_("The history keeps a keyed hash of the value.")
    )
    description = models.CharField(_("description"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("parameter")
        verbose_name_plural = _("parameters")
        ordering = ("position", "id")
        constraints = [models.UniqueConstraint("operation", Lower("name"), name="parameter_name_once")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        problems: dict[str, Any] = {}
        if self.pattern:
            try:
                values.compiled(self.pattern)
            except values.Hazard:
                problems["pattern"] = _(
                    "This pattern could keep the bus busy for ever: repeat nothing that itself repeats or has "
                    "alternatives, and use at most four * and + in all."
                )
            except re.error:
                problems["pattern"] = _("This is not a regular expression.")
        if self.type == self.Type.CHOICE and not self.choices.strip():
            problems["choices"] = _("Name the choices, one on a line.")
        for bound in ("min", "max"):
            text = getattr(self, bound)
            if text and self.type in ("boolean", "choice", "nik", "npwp"):
                problems[bound] = _("This type has no range.")
            elif text:
                try:
                    values.bound(self.type, text)
                except ValueError:
                    problems[bound] = _("The bound must be a value of the parameter's type.")
        if self.default and not problems:
            try:
                values.Reader.of(self)(self.default)
            except values.Unfit as unfit:
                problems["default"] = unfit.id
        if problems:
            raise ValidationError(problems)


class Field(Definition):
    """A column of an operation's answer. Once a provider declares fields, only those go out."""

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        INTEGER = "integer", _("whole number")
        DECIMAL = "decimal", _("decimal number")
        FLOAT = "float", _("floating-point number")
        BOOLEAN = "boolean", _("yes/no")
        DATE = "date", _("date")
        TIME = "time", _("time")
        DATETIME = "datetime", _("date and time")
        INTERVAL = "interval", _("interval")
        BYTES = "bytes", _("bytes")
        JSON = "json", _("JSON")
        UUID = "uuid", _("UUID")

    class Classification(models.TextChoices):
        PUBLIC = "public", _("public")
        INTERNAL = "internal", _("internal")
        PERSONAL = "personal", _("personal data")
        SPECIFIC = "specific", _("specific personal data")

    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="fields")
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    name = models.CharField(_("name"), max_length=127)
    type = models.CharField(_("type"), max_length=10, choices=Type.choices, default=Type.TEXT)
    description = models.CharField(_("description"), max_length=300, blank=True)
    classification = models.CharField(
        _("classification"), max_length=10, choices=Classification.choices, default=Classification.INTERNAL
    )

    class Meta:
        verbose_name = _("field")
        verbose_name_plural = _("fields")
        ordering = ("position", "id")
        constraints = [models.UniqueConstraint(fields=["operation", "name"], name="field_name_once")]

    def __str__(self) -> str:
        return self.name


# ------------------------------------------------------------------------------------- consumers


class Application(Definition):
    """A system of an agency that calls operations."""

    once = ("code", "agency")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="applications")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    contact = models.CharField(_("contact"), max_length=200, blank=True)
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="application_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"


class AccessKey(Definition):
    """A key of an application. The key itself is shown once, when it is made; here lies its digest."""

    application = models.ForeignKey(
        Application, models.CASCADE, verbose_name=_("application"), related_name="access_keys"
    )
    public = models.CharField(_("begins with"), max_length=20, editable=False)
    digest = models.CharField(max_length=80, unique=True, editable=False)
    operation = models.ForeignKey(
        Operation,
        models.CASCADE,
        verbose_name=_("only for operation"),
        null=True,
        blank=True,
        related_name="legacy_keys",
        help_text=_("Keys of MANTRA 1.99x open one operation each."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    networks = models.TextField(
        _("networks"),
        blank=True,
        validators=[validate_networks],
        help_text=_("From where the key may be used: 10.1.0.0/16 or 10.1.2.3, one on a line. Empty: from anywhere."),
    )
    in_path = models.BooleanField(
        _("may stand in the address"),
        default=False,
        help_text=_("For old clients that cannot send a header. A key in an address ends up in logs."),
    )
    created_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    LIVE = 2

    class Meta:
        verbose_name = _("access key")
        verbose_name_plural = _("access keys")
        ordering = ("application", "-created_at")

    def __str__(self) -> str:
        return self.public

    @classmethod
    def live(cls) -> models.QuerySet[AccessKey]:
        """Keys that open something now."""
        return cls.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @classmethod
    def issue(cls, application: Application, expires_at: datetime | None = None, **more: Any) -> tuple[AccessKey, str]:
        """Make a new key and return it with its plain text, which is never to be had again."""
        plain = secrets.new_key()
        key = cls(
            application=application,
            public=secrets.public_part(plain),
            digest=secrets.key_digest(plain),
            expires_at=expires_at,
            **more,
        )
        key.full_clean()
        key.save()
        return key, plain

    @classmethod
    def adopt(cls, application: Application, plain: str, operation: Operation) -> AccessKey:
        """Take over a key of MANTRA 1.99x for one operation. Raises ValidationError when it opens something else."""
        digest = secrets.key_digest(plain)
        key = cls.objects.filter(digest=digest).first()
        if key is None:
            key = cls(application=application, operation=operation, digest=digest, public=secrets.public_part(plain))
            key.save()
        elif (key.application_id, key.operation_id) != (application.pk, operation.pk):
            raise ValidationError(_("This key opens another operation or belongs to another application already."))
        return key

    def clean(self) -> None:
        super().clean()
        if self.operation_id is None and self.application_id and self._state.adding:
            others = AccessKey.live().filter(application=self.application, operation=None)
            if others.count() >= self.LIVE:
                raise ValidationError(_("An application has at most two live keys: revoke one first."))

    def revoke(self) -> None:
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])


class Grant(Definition):
    """An application's leave to call an operation."""

    class State(models.TextChoices):
        APPROVED = "approved", _("approved")
        REVOKED = "revoked", _("revoked")

    application = models.ForeignKey(Application, models.CASCADE, verbose_name=_("application"), related_name="grants")
    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="grants")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.APPROVED)
    purpose = models.CharField(_("purpose"), max_length=300)
    legal_basis = models.CharField(_("legal basis"), max_length=300, blank=True)
    agreement = models.CharField(_("agreement number"), max_length=100, blank=True)
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True, help_text=_("The last day."))
    fields = models.TextField(
        _("fields allowed"), blank=True, help_text=_("Names of columns, one on a line. Empty: all of them.")
    )
    quota = models.CharField(
        _("quota"),
        max_length=100,
        blank=True,
        validators=[validate_quota],
        help_text=_("Like 1000/day, or several: 10/second; 1000/day. Empty: no limit."),
    )
    networks = models.TextField(
        _("networks"),
        blank=True,
        validators=[validate_networks],
        help_text=_("From where the grant holds: 10.1.0.0/16 or 10.1.2.3, one on a line. Empty: from anywhere."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        ordering = ("application", "operation")
        constraints = [models.UniqueConstraint(fields=["application", "operation"], name="grant_once")]

    def __str__(self) -> str:
        return f"{self.application} → {self.operation}"

    def clean(self) -> None:
        super().clean()
        if self.valid_from and self.valid_until and self.valid_from > self.valid_until:
            raise ValidationError({"valid_until": _("The last day lies before the first.")})
        if self.fields and self.operation_id:
            declared = {field.name for field in self.operation.fields.all()}
            if not declared:
                raise ValidationError(
                    {"fields": _("The operation declares no fields yet: fill in its Fields section first.")}
                )
            unknown = [name for name in names(self.fields) if name not in declared]
            if unknown:
                raise ValidationError(
                    {"fields": _("The operation declares no such field: %(names)s.") % {"names": ", ".join(unknown)}}
                )


# --------------------------------------------------------------------------------------- history


class CallRecord(models.Model):
    """One call, as the journal told it. Names are copied, so that a record outlives what it names."""

    request_id = models.CharField(_("request id"), max_length=32, unique=True)
    started_at = models.DateTimeField(_("time"))
    face = models.CharField(_("face"), max_length=10)
    method = models.CharField(_("method"), max_length=10)
    agency = models.CharField(_("agency"), max_length=63, blank=True)
    service = models.CharField(_("service"), max_length=63, blank=True)
    operation = models.CharField(_("operation"), max_length=127, blank=True)
    operation_ref = models.BigIntegerField(null=True, blank=True)
    revision = models.IntegerField(_("revision"), null=True, blank=True)
    consumer_agency = models.CharField(_("consumer's agency"), max_length=63, blank=True)
    application = models.CharField(_("application"), max_length=63, blank=True)
    key = models.CharField(_("key"), max_length=20, blank=True)
    user = models.CharField(_("user"), max_length=150, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    format = models.CharField(_("format"), max_length=20, blank=True)
    parameters = models.TextField(_("parameters (names)"), blank=True)
    subjects = models.TextField(_("subjects (keyed hashes)"), blank=True)
    fields = models.TextField(_("fields"), blank=True)
    outcome = models.IntegerField(_("outcome"), default=0, help_text=_("200, or the fault's code; 0: still open."))
    status = models.IntegerField(_("HTTP status"), null=True, blank=True)
    rows = models.BigIntegerField(_("rows"), null=True, blank=True)
    bytes = models.BigIntegerField(_("bytes"), null=True, blank=True)
    duration_us = models.BigIntegerField(_("duration (µs)"), null=True, blank=True)
    broken = models.BooleanField(_("broken off"), default=False)
    key_ref = models.BigIntegerField(null=True, blank=True)
    segment = models.CharField(max_length=120, blank=True)

    class Meta:
        verbose_name = _("call")
        verbose_name_plural = _("history of calls")
        ordering = ("-started_at", "-id")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-started_at"], name="call_time"),
            models.Index(fields=["agency", "-started_at"], name="call_agency"),
            models.Index(fields=["consumer_agency", "-started_at"], name="call_consumer"),
            models.Index(fields=["outcome", "-started_at"], name="call_outcome"),
            # Calls that have no end yet, to be closed when their worker is gone.
            models.Index(fields=["segment"], name="call_open", condition=Q(outcome=0)),
        ]

    def __str__(self) -> str:
        return self.request_id


class JournalSegment(models.Model):
    """How far a segment of the journal has been taken into the history, and what its chain read there."""

    name = models.CharField(max_length=120, unique=True)
    offset = models.BigIntegerField(default=0)
    lines = models.BigIntegerField(default=0)
    last_hash = models.CharField(max_length=64, blank=True)
    closed = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("journal segment")
        verbose_name_plural = _("journal segments")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

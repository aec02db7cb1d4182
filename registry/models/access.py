"""Applications, their access keys and grants."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import secrets
from registry.models import bounds
from registry.models.agencies import Agency
from registry.models.base import (
    EXPIRED,
    RegistryModel,
    code_validator,
    names,
    pairs,
    validate_networks,
    validate_pairs,
    validate_person_quota,
    validate_quota,
    validate_row_quota,
    validate_values,
)
from registry.models.bounds import BoundedTextField
from registry.models.changes import SnapshotVersion
from registry.models.services import UNMASKABLE, Field, Operation, impossible_mask
from registry.personal_data import masks


def _row_quota(help_text: Any) -> Any:
    return models.CharField(
        _("quota of rows"), max_length=100, blank=True, validators=[validate_row_quota], help_text=help_text
    )


def _person_quota(help_text: Any) -> Any:
    return models.CharField(
        _("quota of persons"), max_length=100, blank=True, validators=[validate_person_quota], help_text=help_text
    )


class Application(RegistryModel):
    """A system of an agency that calls operations."""

    snapshot_unit = ("application", "id")
    counted = ("applications", "agency")
    unique_within = ("code", "agency")

    agency = models.ForeignKey(Agency, models.PROTECT, verbose_name=_("agency"), related_name="applications")
    code = models.CharField(_("code"), max_length=63, validators=[code_validator])
    title = models.CharField(_("title"), max_length=200)
    contact = models.CharField(_("contact"), max_length=200, blank=True)
    active = models.BooleanField(_("active"), default=True)
    row_limit = _row_quota(
        _(
            "Rows that the application gets of all operations together, for example 10000/hour; 50000/day. Responses "
            "that are passed through are not counted. Empty: no limit."
        )
    )
    subject_limit = _person_quota(
        _(
            "Different persons that the application asks for or gets of all operations together, for example 500/hour; "
            "2000/day. Empty: no limit."
        )
    )
    certificate_required = models.BooleanField(
        _("only with a client certificate"),
        default=False,
        help_text=_(
            "Calls must come over HTTPS with one of the application's client certificates: a key alone opens nothing. "
            "Add the certificate first."
        ),
    )
    signing_required = models.BooleanField(
        _("signed requests only"),
        default=False,
        help_text=_(
            "Requests with an access key are refused: each must be signed with a signing key. Issue one first, and "
            "let the program sign."
        ),
    )

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        ordering = ("agency__code", "code")
        constraints = [models.UniqueConstraint("agency", Lower("code"), name="application_code_once")]

    def __str__(self) -> str:
        return f"{self.agency.code}/{self.code}"


class AccessKey(RegistryModel):
    """An access key of an application. It is shown once, when it is issued; the database has its digest only.

    A signing key is never sent: its application signs requests with it. To check them the bus has it too, encrypted.
    """

    snapshot_unit = ("key", "id")
    counted = ("keys", "application")

    class Kind(models.TextChoices):
        ACCESS = "access", _("sent with each request")
        SIGNING = "signing", _("signs requests")

    application = models.ForeignKey(
        Application, models.CASCADE, verbose_name=_("application"), related_name="access_keys"
    )
    public = models.CharField(_("begins with"), max_length=20, editable=False)
    digest = models.CharField(max_length=80, unique=True, editable=False)
    kind = models.CharField(
        _("use"),
        max_length=10,
        choices=Kind.choices,
        default=Kind.ACCESS,
        help_text=_("A key that signs requests is never sent itself, and a request that was seen is refused again."),
    )
    #: The whole text of a signing key; "" for other keys.
    secret = secrets.EncryptedField(max_length=80, blank=True, default="", editable=False)
    operation = models.ForeignKey(
        Operation,
        models.CASCADE,
        verbose_name=_("only for operation"),
        null=True,
        blank=True,
        related_name="legacy_keys",
        help_text=_("A key of MANTRA 1.99x. Empty: the key is for all operations that its application is granted."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    networks = BoundedTextField(
        _("networks"),
        max_length=bounds.NETWORK_LIST,
        blank=True,
        validators=[validate_networks],
        help_text=_(
            "Addresses from which the key may be used, one per line: 10.1.2.3 is one computer, 10.1.0.0/16 all that "
            "begin with 10.1. Ask the application's administrator for its server's address. Empty: any address."
        ),
    )
    in_path = models.BooleanField(
        _("allowed in URL"),
        default=False,
        help_text=_("For old clients that cannot send a header. Logs will contain a key that is in a URL."),
    )
    wrapped = models.BooleanField(
        _("responses wrapped (APP_ENC)"),
        default=False,
        help_text=_(
            "For programs of MANTRA 1.99x that set APP_ENC: at the addresses of 1.99x the key's responses are base64, "
            "backwards. It protects nothing."
        ),
    )
    created_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)
    last_used_in_path_at = models.DateTimeField(_("last used in a URL at"), null=True, blank=True, editable=False)
    #: Until ``slowed_until`` the key is admitted once in so many seconds; 0: it is not slowed down.
    slow_seconds = models.PositiveSmallIntegerField(_("seconds between two calls"), default=0, editable=False)
    slowed_until = models.DateTimeField(_("slowed down until"), null=True, blank=True, editable=False)

    MAX_ACTIVE = 2
    #: A key that was in no URL for so many days need not be allowed there any more.
    IN_PATH_DAYS = 30

    class Meta:
        verbose_name = _("access key")
        verbose_name_plural = _("access keys")
        ordering = ("application", "-created_at")

    def __str__(self) -> str:
        return self.public

    @classmethod
    def active(cls) -> models.QuerySet[AccessKey]:
        """Return the keys that are neither revoked nor expired."""
        return cls.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @property
    def in_path_until(self) -> datetime | None:
        """Until when the key should be allowed in URLs if no further call has it there; None if none ever had."""
        last = self.last_used_in_path_at
        return None if last is None else last + timedelta(days=self.IN_PATH_DAYS)

    @property
    def signs(self) -> bool:
        return self.kind == self.Kind.SIGNING

    @classmethod
    def issue(
        cls, application: Application, expires_at: datetime | None = None, **attributes: Any
    ) -> tuple[AccessKey, str]:
        """Issue a new key. Return it with its plain text, which is stored of no other key than one that signs.

        Raises ValidationError.
        """
        signs = attributes.get("kind", cls.Kind.ACCESS) == cls.Kind.SIGNING
        plain = secrets.new_key(secrets.SIGNING_MARK if signs else secrets.KEY_MARK)
        while signs and cls.objects.filter(public=secrets.public_part(plain)).exists():  # signatures name it by this
            plain = secrets.new_key(secrets.SIGNING_MARK)
        key = cls(
            application=application,
            public=secrets.public_part(plain),
            digest=secrets.key_digest(plain),
            secret=plain if signs else "",
            expires_at=expires_at,
            **attributes,
        )
        with transaction.atomic():
            SnapshotVersion.lock()  # active keys are counted: nobody else issues one meanwhile
            key.full_clean()
            key.save()
        return key, plain

    @classmethod
    def import_legacy(cls, application: Application, plain: str, operation: Operation | None) -> AccessKey:
        """Import a key of MANTRA 1.99x for one operation, or with None for all that its application is granted.

        Raises ValidationError if it belongs to another one.
        """
        digest = secrets.key_digest(plain)
        key = cls.objects.filter(digest=digest).first()
        if key is None:
            key = cls(application=application, operation=operation, digest=digest, public=secrets.public_part(plain))
            key.save()
        elif (key.application_id, key.operation_id) != (application.pk, operation.pk if operation else None):
            raise ValidationError(_("This key is already used for another operation or application."))
        return key

    def clean(self) -> None:
        super().clean()
        if self.expires_at and self.expires_at <= timezone.now() and self._expiry_changes():
            raise ValidationError({"expires_at": EXPIRED})
        if self.signs and self.in_path:
            raise ValidationError({"in_path": _("A key that signs requests is never sent.")})
        if self.signs and self.wrapped:
            raise ValidationError({"wrapped": _("Programs that set APP_ENC do not sign requests.")})
        if self.pk is not None and not AccessKey.objects.filter(pk=self.pk, kind=self.kind).exists():
            raise ValidationError({"kind": _("A key keeps its use: issue another one.")})
        if self.operation_id is None and self.application_id and self._becomes_active():
            others = AccessKey.active().filter(application=self.application, operation=None, kind=self.kind)
            if others.exclude(pk=self.pk).count() >= self.MAX_ACTIVE:
                raise ValidationError(_("Revoke a key first: an application can have at most two active keys."))

    def _expiry_changes(self) -> bool:
        """Return True if the stored row has another expiry: a key that has expired can still be looked at and saved."""
        return not AccessKey.objects.filter(pk=self.pk, expires_at=self.expires_at).exists()

    def _becomes_active(self) -> bool:
        """Return True if the row is active and the stored one is not: a new key, or one whose expiry was changed."""
        return self.is_active and not AccessKey.active().filter(pk=self.pk, application=self.application_id).exists()

    def kept_because(self) -> Any:
        # Refusing a caller takes a revocation, which the key's dates and the log record.
        return _("Revoke the key before you delete it.") if self.is_active else ""

    @property
    def is_slowed(self) -> bool:
        return self.slowed_until is not None and self.slowed_until > timezone.now()

    def slow(self, seconds: int, until: datetime) -> None:
        """Admit the key once in so many seconds, until a time. Worker processes follow within a second."""
        self.slow_seconds, self.slowed_until = seconds, until
        self.save(update_fields=["slow_seconds", "slowed_until"])

    def hasten(self) -> None:
        """End what slow() began."""
        self.slow_seconds, self.slowed_until = 0, None
        self.save(update_fields=["slow_seconds", "slowed_until"])

    def revoke(self) -> None:
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])


class Grant(RegistryModel):
    """The permission of one application to call one operation."""

    snapshot_unit = ("grant", "id")
    counted = ("grants", "operation__service__agency")

    class State(models.TextChoices):
        APPROVED = "approved", _("approved")
        REVOKED = "revoked", _("revoked")

    class Standing(models.TextChoices):
        """What a grant's state and period mean today."""

        IN_FORCE = "in_force", _("in force")
        NOT_YET = "not_yet_valid", _("not valid yet")
        ENDED = "ended", _("ended")
        REVOKED = "revoked", _("revoked")

    application = models.ForeignKey(Application, models.CASCADE, verbose_name=_("application"), related_name="grants")
    operation = models.ForeignKey(Operation, models.CASCADE, verbose_name=_("operation"), related_name="grants")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.APPROVED)
    purpose = models.CharField(_("purpose"), max_length=300)
    legal_basis = models.CharField(_("legal basis"), max_length=300, blank=True)
    agreement = models.CharField(_("agreement number"), max_length=100, blank=True)
    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    valid_until = models.DateField(_("valid until"), null=True, blank=True, help_text=_("The last day."))
    fields = BoundedTextField(
        _("allowed fields"),
        max_length=bounds.NAME_LIST,
        blank=True,
        help_text=_("Field names, one per line. Empty: all fields, of a verification all but the similarities."),
    )
    quota = models.CharField(
        _("quota"),
        max_length=100,
        blank=True,
        validators=[validate_quota],
        help_text=_(
            "For example 1000/day, or several: 10/second; 1000/day. A period begins with its first call. Empty: no "
            "limit."
        ),
    )
    row_limit = _row_quota(
        _(
            "Rows that may be sent, for example 1000/hour; 5000/day. A response that does not fit is refused or "
            "aborted. Responses that are passed through are not counted. Empty: no limit."
        )
    )
    subject_limit = _person_quota(
        _(
            "Different persons that calls ask for or get, for example 200/hour; 1000/day: those that parameters name, "
            "and those of a column such as NIK. Empty: no limit."
        )
    )
    networks = BoundedTextField(
        _("networks"),
        max_length=bounds.NETWORK_LIST,
        blank=True,
        validators=[validate_networks],
        help_text=_(
            "Addresses from which the grant is valid, one per line: 10.1.2.3 is one computer, 10.1.0.0/16 all that "
            "begin with 10.1. Ask the application's administrator for its server's address. Empty: any address."
        ),
    )
    masks = BoundedTextField(
        _("masks"),
        max_length=bounds.NAME_LIST,
        blank=True,
        validators=[validate_pairs],
        help_text=_("Fields of which the application does not get the whole value, such as nik=partial, one per line."),
    )
    values = BoundedTextField(
        _("values of the grant"),
        max_length=bounds.VALUE_LIST,
        blank=True,
        validators=[validate_values],
        help_text=_(
            "They select the rows that the application gets, such as wilayah=32.01, one per line. The operation names "
            "them; callers cannot send them."
        ),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        ordering = ("application", "operation")
        constraints = [models.UniqueConstraint(fields=["application", "operation"], name="grant_once")]

    def __str__(self) -> str:
        return f"{self.application} → {self.operation}"

    @property
    def standing(self) -> Standing:
        """What the state and the period mean today: REVOKED comes before the others."""
        today = timezone.localdate()
        if self.state == self.State.REVOKED:
            return self.Standing.REVOKED
        if self.valid_until is not None and self.valid_until < today:
            return self.Standing.ENDED
        if self.valid_from is not None and self.valid_from > today:
            return self.Standing.NOT_YET
        return self.Standing.IN_FORCE

    @property
    def ended_at(self) -> datetime | None:
        """When the grant was revoked or ended; None if it did not, or if nobody knows."""
        if self.standing == self.Standing.REVOKED:
            return self.revoked_at
        if self.standing == self.Standing.ENDED and self.valid_until is not None:
            return timezone.make_aware(datetime.combine(self.valid_until, time.max))
        return None

    def set_state(self, state: str) -> None:
        """Approve or revoke the grant. Worker processes follow within a second."""
        self.state = state
        self.save(update_fields=["state", "revoked_at"])

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the grant, with the time of its revocation: whoever revokes it sets the state only."""
        if self.state == self.State.REVOKED:
            self.revoked_at = self.revoked_at or timezone.now()
        else:
            self.revoked_at = None
        with transaction.atomic():
            super().save(*args, **kwargs)
            GrantTerms.keep(self)

    @property
    def chosen_masks(self) -> dict[str, str]:
        """The grant's own masks by the fields' names."""
        return pairs(self.masks)

    @property
    def effective_masks(self) -> dict[str, str]:
        """The masks that hold, the operation's own included, by the fields' names."""
        return masks.effective(self.operation.fields.all(), self.chosen_masks)

    @property
    def sent_masks(self) -> dict[str, str]:
        """The fields of which the application gets something, each with its mask, "" for none."""
        found, allowed = self.effective_masks, set(names(self.fields))
        kinds = {
            field.name: found.get(field.name, "") for field in self.operation.fields.all()
            if not allowed or field.name in allowed
        }  # fmt: skip
        unlawful = set(self.unlawful_fields)
        return {name: kind for name, kind in kinds.items() if kind != masks.DROPPED and name not in unlawful}

    @property
    def chosen_values(self) -> dict[str, str]:
        """The values by which rows are selected, by their names."""
        return pairs(self.values)

    @property
    def missing_values(self) -> list[str]:
        """The names of the values that the operation needs and the grant does not have: calls are refused."""
        return sorted(self.operation.of_its_kind.grant_values - self.chosen_values.keys())

    @property
    def unlawful_fields(self) -> list[str]:
        """The fields with specific personal data that do not go out, as no legal basis is stated."""
        if self.legal_basis.strip():
            return []
        return masks.revealing(list(self.operation.fields.all()), names(self.fields), self.chosen_masks)

    @property
    def warnings(self) -> list[str]:
        """Sentences for the person who grants, about limits that keep less secret than they seem to, and what fails."""
        found = []
        if searchable := self.searchable_fields():
            text = _(
                "Not allowed, but callers can search by these fields and so find out their values: %(names)s. Remove "
                "the parameters, or allow the fields."
            )
            found.append(text % {"names": ", ".join(searchable)})
        if masked := self.searchable_masks():
            text = _(
                "Masked, but callers can search by these fields and so find out their values: %(names)s. Remove the "
                "parameters, or let callers search by values that they must have already."
            )
            found.append(text % {"names": ", ".join(masked)})
        if names_ := self._masked_otherwise():
            text = _("Masked, so callers over SOAP get these fields empty: %(names)s. Declare them as text.")
            found.append(text % {"names": ", ".join(names_)})
        if missing := self.missing_values:
            text = _("Calls are refused until the grant has these values: %(names)s.")
            found.append(text % {"names": ", ".join(missing)})
        if unlawful := self.unlawful_fields:
            text = _("Not given, because no legal basis is stated: %(names)s. Enter it, or mask or remove the fields.")
            found.append(text % {"names": ", ".join(unlawful)})
        return [str(text) for text in found]

    def searchable_fields(self) -> list[str]:
        """Return the fields that the grant leaves out although parameters search by them."""
        hidden = {name for name, kind in self.effective_masks.items() if kind == masks.DROPPED}
        if self.fields:
            hidden |= {field.name for field in self.operation.fields.all()} - set(names(self.fields))
        return self._searched(hidden)

    def searchable_masks(self) -> list[str]:
        """Return the fields that are masked although parameters search by them."""
        allowed = set(names(self.fields))
        return self._searched(
            name for name, kind in self.effective_masks.items()
            if kind != masks.DROPPED and (not allowed or name in allowed)
        )  # fmt: skip

    def _searched(self, fields: Iterable[str]) -> list[str]:
        """Return those of the fields that callers can search by, also where the result has them by another name."""
        chosen = list(fields)
        if not chosen:
            return []
        operation = self.operation.of_its_kind
        searched = operation.searched_names
        return sorted(name for name in chosen if not searched.isdisjoint({name.lower(), *operation.names_behind(name)}))

    def _masked_otherwise(self) -> list[str]:
        """Return the fields that only the grant masks and that are no text: a WSDL is the same for all callers."""
        if self.operation.kind == Operation.Kind.PROXY:
            return []
        chosen = self.chosen_masks
        return [
            field.name for field in self.operation.fields.all()
            if chosen.get(field.name, masks.DROPPED) != masks.DROPPED and not field.mask and field.type != "text"
        ]  # fmt: skip

    def clean(self) -> None:
        super().clean()
        if self.operation_id and self.operation.draft_of_id is not None:
            raise ValidationError({"operation": _("This is a draft. Grant the published operation.")})
        if self.valid_from and self.valid_until and self.valid_from > self.valid_until:
            raise ValidationError({"valid_until": _("The last day is before the first day.")})
        if self.fields and self.operation_id:
            declared = {field.name for field in self.operation.fields.all()}
            if not declared:
                raise ValidationError({"fields": _("Declare the operation's fields first, in its section Fields.")})
            unknown = [name for name in names(self.fields) if name not in declared]
            if unknown:
                raise ValidationError(
                    {
                        "fields": _("The operation does not declare these fields: %(names)s.")
                        % {"names": ", ".join(unknown)}
                    }
                )
        if self.operation_id:
            self._check_masks()
            self.check_complete()

    def check_complete(self) -> None:
        """Check that the grant can be in force. Raises ValidationError."""
        self._check_values()
        self._check_legal_basis()

    def _check_masks(self) -> None:
        """Check that the masks can be applied and leave something. Raises ValidationError."""
        chosen = self.chosen_masks
        if not chosen:
            return
        if not self.operation.of_its_kind.masks_fields:
            raise ValidationError({"masks": self._unmaskable()})
        fields = {field.name: field for field in self.operation.fields.all()}
        if unknown := [name for name in chosen if name not in fields]:
            text = _("The operation does not declare these fields: %(names)s.")
            raise ValidationError({"masks": text % {"names": ", ".join(unknown)}})
        allowed = names(self.fields) or list(fields)
        if idle := [name for name in chosen if name not in allowed]:
            text = _("These fields are not allowed at all, so they need no mask: %(names)s.")
            raise ValidationError({"masks": text % {"names": ", ".join(idle)}})
        if wrong := sorted({kind for kind in chosen.values() if kind not in _MASKS}):
            text = _("%(names)s is no mask. There are: %(known)s.")
            raise ValidationError({"masks": text % {"names": ", ".join(wrong)[:100], "known": ", ".join(_MASKS)}})
        if wrong := [name for name, kind in chosen.items() if kind not in masks.possible(fields[name].type)]:
            raise ValidationError({"masks": impossible_mask(wrong)})
        if all(self.effective_masks.get(name) == masks.DROPPED for name in allowed):
            raise ValidationError({"masks": _("All fields are left out. Mask fewer, or revoke the grant.")})

    def _unmaskable(self) -> Any:
        if self.operation.kind == Operation.Kind.VERIFICATION:
            return _("The fields of a verification have no masks. Choose the allowed fields instead.")
        return UNMASKABLE

    def _check_values(self) -> None:
        """Check that the grant has the values by which the operation selects rows. Raises ValidationError."""
        needed, chosen = self.operation.of_its_kind.grant_values, self.chosen_values
        if self.state == self.State.REVOKED:
            return
        if missing := sorted(needed - chosen.keys()):
            text = _("The operation selects rows by these values. Enter them as name=value: %(names)s.")
            raise ValidationError({"values": text % {"names": ", ".join(missing)}})
        if unknown := [name for name in chosen if name not in needed]:
            text = _("The operation does not use these values: %(names)s.")
            raise ValidationError({"values": text % {"names": ", ".join(unknown)}})

    def _check_legal_basis(self) -> None:
        """Check that specific personal data is given on a legal basis only. Raises ValidationError."""
        if self.state == self.State.APPROVED and (unlawful := self.unlawful_fields):
            text = _(
                "Specific personal data needs a legal basis: %(names)s. Enter it, or choose fewer fields, or hash or "
                "omit these."
            )
            raise ValidationError({"legal_basis": text % {"names": ", ".join(unlawful)}})


class GrantTerms(models.Model):
    """What a grant was given for from a moment on. It outlives the grant: calls are explained by what held then."""

    grant_ref = models.BigIntegerField(editable=False)
    since = models.DateTimeField()
    purpose = models.CharField(_("purpose"), max_length=300)
    legal_basis = models.CharField(_("legal basis"), max_length=300, blank=True)
    agreement = models.CharField(_("agreement number"), max_length=100, blank=True)
    #: True if an upgrade wrote it: what the grant said before that is not known.
    adopted = models.BooleanField(default=False)

    COLUMNS = ("purpose", "legal_basis", "agreement")

    class Meta:
        verbose_name = _("terms of a grant")
        verbose_name_plural = _("terms of grants")
        default_permissions = ()
        indexes = [models.Index(fields=["grant_ref", "-since"], name="grant_terms_since")]

    def __str__(self) -> str:
        return self.purpose

    @classmethod
    def keep(cls, grant: Grant) -> None:
        """Write the terms of a grant that was saved, if they are other ones than before."""
        last = cls.objects.filter(grant_ref=grant.pk).order_by("-since", "-pk").values_list(*cls.COLUMNS).first()
        terms = tuple(getattr(grant, name) for name in cls.COLUMNS)
        if last != terms:
            values = dict(zip(cls.COLUMNS, terms, strict=True))
            cls.objects.create(grant_ref=grant.pk, since=timezone.now(), **values)


_MASKS = tuple(kind for kind in Field.Mask.values if kind)

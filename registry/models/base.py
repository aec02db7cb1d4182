"""The base of the registry's definitions, and validators."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import limits
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.db.models.signals import pre_delete
from django.utils.translation import gettext_lazy as _

from registry.models import bounds
from registry.models.changes import (
    ADDED,
    CHANGED,
    DELETED,
    NAMED_ROWS,
    OBSERVERS,
    Change,
    RegistryChange,
    SnapshotVersion,
    add_to_total,
    are_together,
    atomic,
    forget_totals,
    observe,
    total,
)
from registry.secrets import Secret, readable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

code_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,62}$",
    _("Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias."),
)
#: Names of operations that were imported from 1.99x may contain a space, a dot or a colon.
operation_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_\-.: ]{0,126}$",
    _("Use letters, digits, - and _ only, starting with a letter or a digit: it becomes part of an alias."),
)
column_validator = RegexValidator(
    r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
    _("Use letters, digits and _ only, starting with a letter: it is the :name in the SQL and the name in the URL."),
)
#: A name that MANTRA 1.99x allowed. It is a segment of an address.
legacy_name_validator = RegexValidator(
    r"^(?!\.{1,2}$)[^\x00-\x1f\x7f-\x9f/\\%?#\u200b-\u200f\u2028-\u202e\u2060\ufeff]+$",
    _("Enter the name as it is in the addresses of MANTRA 1.99x, decoded: without slashes, percent signs, ? and #."),
)


def networks(text: str) -> list[Network]:
    """Return the networks in ``text``, separated by commas, spaces or lines, without overlaps. Raises ValueError."""
    found = {ipaddress.ip_network(part, strict=False) for part in names(text)}
    return [
        *ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv6Network)),
    ]


def names(text: str) -> list[str]:
    """Return the names in ``text``, separated by commas, spaces or lines."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def validate_networks(text: str) -> None:
    if len(text) > bounds.NETWORK_LIST:
        return  # that is an error already, and parsing it would take long
    try:
        found = networks(text)
    except ValueError:
        raise ValidationError(_("Enter networks like 10.1.0.0/16 or addresses like 10.1.2.3, one per line.")) from None
    if len(found) > bounds.NETWORKS:
        raise ValidationError(
            _("Enter at most %(most)d networks. Use larger networks instead of single addresses."),
            params={"most": bounds.NETWORKS},
        )


#: The most limits of a quota, calls of a limit, and seconds of its period.
MAX_QUOTA_LIMITS, MAX_QUOTA_CALLS, MAX_QUOTA_SECONDS = 5, 1_000_000_000, 366 * 86_400


def validate_quota(text: str) -> None:
    try:
        found = limits.parse_many(text)
    except ValueError:
        raise ValidationError(_("Enter a quota like 1000/day, or several: 10/second; 1000/day.")) from None
    if len(found) > MAX_QUOTA_LIMITS or any(
        each.amount > MAX_QUOTA_CALLS or each.get_expiry() > MAX_QUOTA_SECONDS for each in found
    ):
        raise ValidationError(
            _("Enter at most %(limits)d limits, each of at most %(calls)d calls and a year."),
            params={"limits": MAX_QUOTA_LIMITS, "calls": MAX_QUOTA_CALLS},
        )


#: The most quotas of rows or of persons that a row has, the most of each, and the seconds of the longest period. The
#: persons of a period are remembered one by one.
MAX_PERIODS, MAX_QUOTA_ROWS, MAX_QUOTA_PERSONS, MAX_PERIOD_SECONDS = 3, 1_000_000_000, 100_000, 86_400


def periods(text: str) -> tuple[tuple[int, int], ...]:
    """Return a quota of rows or persons as pairs of a number and the seconds of its period. Raises ValueError."""
    found: dict[int, int] = {}
    for each in limits.parse_many(text) if text else ():
        seconds = each.get_expiry()
        found[seconds] = min(each.amount, found.get(seconds, each.amount))
    return tuple((found[seconds], seconds) for seconds in sorted(found))


def validate_row_quota(text: str) -> None:
    _validate_periods(text, MAX_QUOTA_ROWS)


def validate_person_quota(text: str) -> None:
    _validate_periods(text, MAX_QUOTA_PERSONS)


def _validate_periods(text: str, most: int) -> None:
    try:
        found = periods(text)
    except ValueError:
        raise ValidationError(
            _("Enter a number per hour or day like 1000/hour, or both: 1000/hour; 5000/day.")
        ) from None
    valid = (amount <= most and 60 <= seconds <= MAX_PERIOD_SECONDS for amount, seconds in found)
    if len(found) > MAX_PERIODS or not all(valid):
        raise ValidationError(
            _("Enter at most %(limits)d limits, each of at most %(most)d and between a minute and a day."),
            params={"limits": MAX_PERIODS, "most": most},
        )


_VALUE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,22}")


def pairs(text: str) -> dict[str, str]:
    """Return the pairs in lines such as ``name = value``; the last one of a name counts. Other lines are none."""
    found = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in found if equals and name.strip()}


def lines_of(found: Mapping[str, str]) -> str:
    """Return pairs as the lines that pairs() reads. Raises ValueError if it would read others."""
    text = "\n".join(f"{name.strip()}={value.strip()}" for name, value in found.items())
    if pairs(text) != {name.strip(): value.strip() for name, value in found.items()}:
        raise ValueError
    return text


def validate_pairs(text: str) -> None:
    wrong = [line.strip() for line in text.splitlines() if line.strip() and not all(map(str.strip, _sides(line)))]
    if wrong:
        raise ValidationError(_("Write name=value in each line: %(line)s."), params={"line": wrong[0][:60]})
    names_ = [line.partition("=")[0].strip() for line in text.splitlines() if line.strip()]
    if len(set(names_)) < len(names_):
        raise ValidationError(_("Write each name once."))


def _sides(line: str) -> tuple[str, str]:
    name, _equals, value = line.partition("=")
    return name, value


def validate_values(text: str) -> None:
    validate_pairs(text)
    found = pairs(text)
    if len(found) > bounds.VALUES:
        raise ValidationError(_("Enter at most %(most)d values."), params={"most": bounds.VALUES})
    for name, value in found.items():
        if not _VALUE_NAME.fullmatch(name):
            raise ValidationError(
                _("%(name)s cannot be the name of a value. Use at most 23 small letters, digits and _."),
                params={"name": name[:60]},
            )
        if len(value) > bounds.VALUE or not value.isprintable():
            raise ValidationError(
                _("The value of %(name)s must have at most %(most)d characters, all of them visible."),
                params={"name": name, "most": bounds.VALUE},
            )


class RegistryQuerySet(models.QuerySet[Any]):
    """Changes without save() are noted in the change log too."""

    def listed(self) -> RegistryQuerySet:
        """Return the rows that lists show and other rows refer to: without drafts beside published operations."""
        return self

    def update_without_bump(self, **kwargs: Any) -> int:
        """Update columns that are not in the snapshot."""
        return super().update(**kwargs)

    def update(self, **kwargs: Any) -> int:
        with atomic():
            version = SnapshotVersion.bump()
            forget_totals()
            ids = None if self._moves(kwargs) else self._units()
            rows = list(self.order_by()[:NAMED_ROWS]) if OBSERVERS else []
            changed = super().update(**kwargs)
            RegistryChange.note(version, self.model.snapshot_unit[0], ids)
            if changed:
                observe(Change(CHANGED, self.model, rows, tuple(kwargs), version, changed))
        return changed

    def _moves(self, columns: Collection[str]) -> bool:
        """Return True if an update of these columns gives rows to other units."""
        _kind, field = self.model.snapshot_unit
        return field in columns or field.removesuffix("_id") in columns

    def _units(self) -> set[int]:
        """Return the ids of the units that the rows belong to: at most one more than the change log takes."""
        field = self.model.snapshot_unit[1]
        # Read again from the tables: rows that were fetched into this query set may be out of date.
        rows = self.order_by().values_list(field, flat=True).distinct()
        return set(rows[: RegistryChange.MAX_ENTRIES + 1])

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[Any]:
        with atomic():
            version = SnapshotVersion.bump()
            forget_totals()
            rows = super().bulk_create(*args, **kwargs)
            kind, field = self.model.snapshot_unit
            ids = {getattr(row, field) for row in rows}
            # Not every database tells the ids of rows that it was told to ignore or to update.
            RegistryChange.note(version, kind, None if None in ids else ids)
            if rows:
                observe(Change(ADDED, self.model, rows[:NAMED_ROWS], (), version, len(rows)))
        return rows


EXPIRED = _("Choose a time in the future. To end it now, revoke or delete it.")
NAME_IN_USE = _("This name is already in use. Capital letters make no difference.")


class RegistryModel(models.Model):
    """The base of the models in the snapshot: each change of a row is noted in the change log.

    The version is raised first. Transactions that change the registry so wait for each other there, and do not lock
    each other's rows in different orders.
    """

    objects: ClassVar[Any] = RegistryQuerySet.as_manager()
    #: (field, the foreign key within which it is unique or ""). Aliases are case-insensitive, and so is this rule.
    unique_within: ClassVar[tuple[str, str] | None] = None
    #: What of the snapshot a row belongs to: its kind, and the field with its id.
    snapshot_unit: ClassVar[tuple[str, str]]
    #: (key of settings.ROW_LIMITS, path to the row within which its rows are counted or "").
    counted: ClassVar[tuple[str, str] | None] = None
    #: Columns that no total is of.
    unweighed: ClassVar[frozenset[str]] = frozenset()
    #: The same key, for rows that belong to an operation and are replaced as a list.
    listed: ClassVar[str] = ""

    class Meta:
        abstract = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # For these models only: Django reads every row that it deletes of a model with a receiver.
        pre_delete.connect(_note_deletion, sender=cls, dispatch_uid="registry.changes")

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check each value. Within together() a row that was read is there still, and is not looked for again."""
        left_out = set(exclude or ())
        if are_together():
            left_out |= {each.name for each in self._meta.concrete_fields if _is_known(self, each)}
        super().clean_fields(left_out)

    def get_constraints(self) -> list[tuple[type[models.Model], Sequence[models.BaseConstraint]]]:
        """Return the constraints that full_clean() checks: all but the one on a name that clean() has checked."""
        found = super().get_constraints()
        if self.unique_within is None:
            return found
        return [(model, [each for each in rules if not self._is_of_name(each)]) for model, rules in found]

    def _is_of_name(self, rule: Any) -> bool:
        """Return True for the constraint that unique_within describes."""
        assert self.unique_within is not None
        name, within = self.unique_within
        expressions = (*([models.F(within)] if within else ()), Lower(name))
        return isinstance(rule, models.UniqueConstraint) and rule.expressions == expressions

    def clean(self) -> None:
        """Report a duplicate at its field. A constraint enforces the same rule for rows that are not validated."""
        super().clean()
        self._check_number()
        if self.unique_within is None:
            return
        if self._siblings().filter(self._in_use()).exists():
            raise ValidationError({self._name_in_use(): NAME_IN_USE})

    def _in_use(self) -> Q:
        """Return which of the other rows have the row's name."""
        assert self.unique_within is not None
        name, _within = self.unique_within
        return Q(**{f"{name}__iexact": getattr(self, name)})

    def _name_in_use(self) -> str:
        """Return the field of the name that another row has."""
        assert self.unique_within is not None
        return self.unique_within[0]

    def _check_number(self) -> None:
        """Check that there may be a further row where this one is new."""
        if self.counted is None:
            return
        kind, path = self.counted
        owner = bounds.follow(self, path) if path else None
        if not self._state.adding and (not path or self._stored().filter(**{path: owner}).exists()):
            return
        if path and owner is None:
            return

        def count() -> int:
            rows = self._counted_rows().exclude(pk=self.pk)
            return (rows.filter(**{path: owner}) if path else rows).count()

        number = total((kind, owner), count) if self._state.adding else count()
        bounds.check_total(number, self._root(), kind)

    @classmethod
    def _root(cls) -> type[models.Model]:
        """Return the model whose rows are counted: an operation's of all kinds."""
        found: type[models.Model] = (*reversed(cls._meta.get_parent_list()), cls)[0]
        return found

    @classmethod
    def _counted_rows(cls) -> models.QuerySet[Any]:
        """Return the rows of which there may be only so many."""
        return cls._root()._default_manager.all()

    @classmethod
    def check_list(cls, operation: Any, rows: Sequence[Any]) -> None:
        """Check an operation's whole list of these rows. Raises ValidationError."""
        if len(rows) > settings.ROW_LIMITS[cls.listed]:
            raise bounds.too_many(cls, cls.listed)

    def _siblings(self) -> models.QuerySet[Any]:
        """Return the other rows among which the name is unique; none if the name or their parent is not set yet."""
        assert self.unique_within is not None
        name, within = self.unique_within
        model = type(self)._meta.get_field(name).model
        scope = getattr(self, f"{within}_id", None) if within else None
        if not getattr(self, name) or (within and scope is None):
            return model._default_manager.none()
        rows = model._default_manager.exclude(pk=self.pk)
        return rows.filter(**{within: scope}) if within else rows

    def kept_because(self) -> Any:
        """Return why the row must not be deleted now, "" if it may be."""
        return ""

    def save(self, *args: Any, **kwargs: Any) -> None:
        kind, field = self.snapshot_unit
        with atomic():
            version = SnapshotVersion.bump()
            before = None if self._state.adding else self._before(kwargs.get("update_fields"))
            super().save(*args, **kwargs)
            unit = getattr(self, field)
            RegistryChange.note(version, kind, {before[field] if before else unit, unit})
            changed = changed_columns(self, before, kwargs.get("update_fields"))
            if before is None:
                self._add_to_totals()
            elif not self.unweighed.issuperset(changed):
                forget_totals()
            if before is None:
                observe(Change(ADDED, type(self), (self,), changed, version))
            elif changed:
                observe(Change(CHANGED, type(self), (self,), changed, version))

    def _add_to_totals(self) -> None:
        """Add the row, which is new, to the totals that are known of its kind."""
        if self.counted is not None:
            kind, path = self.counted
            add_to_total((kind, bounds.follow(self, path) if path else None), 1)

    def _before(self, only: Collection[str] | None) -> dict[str, Any] | None:
        """Return the row's columns as they are stored, of those that are not saved the unit alone."""
        saved = {
            each.attname for each in self._meta.concrete_fields
            if only is not None and not {each.name, each.attname}.isdisjoint(only)
        }  # fmt: skip
        names = {self.snapshot_unit[1], *saved} if only is not None else ()
        found: dict[str, Any] | None = self._stored().order_by().values(*names).first()
        return found

    def _stored(self) -> models.QuerySet[Any]:
        """Return the row as it is stored: a row that moves changes both what it leaves and what it joins."""
        return type(self)._default_manager.filter(pk=self.pk)


def _is_known(row: models.Model, field: Any) -> bool:
    """Return True for a reference to a row that was read."""
    return field.is_relation and field.is_cached(row) and getattr(row, field.attname) is not None


def changed_columns(row: models.Model, before: dict[str, Any] | None, only: Collection[str] | None) -> tuple[str, ...]:
    """Return the names of the fields whose values differ from those that were stored; of a new row those with a value.

    ``only``: the fields that were saved.
    """
    found = []
    for field in row._meta.concrete_fields:
        saved = only is None or field.name in only or field.attname in only
        # The time of saving is no change of anybody's.
        if field.primary_key or not saved or getattr(field, "auto_now", False):
            continue
        if _differs(field, getattr(row, field.attname), before):
            found.append(field.name)
    return tuple(found)


def _differs(field: Any, value: Any, before: dict[str, Any] | None) -> bool:
    if before is None:
        return value not in (None, "", False)
    if field.attname not in before:
        return False
    stored = before[field.attname]
    if isinstance(stored, Secret):
        # One that no key opens is the same if its token is.
        return getattr(value, "token", None) != getattr(stored, "token", None) or readable(value) != readable(stored)
    try:
        return bool(field.to_python(value) != stored)
    except (TypeError, ValueError, ValidationError):  # an expression, or what is no value of the field
        return True


def _note_deletion(instance: RegistryModel, **_kwargs: Any) -> None:
    """Note the deletion of a row, also by a cascade. Django sends this within the transaction that deletes."""
    kind, field = instance.snapshot_unit
    version = SnapshotVersion.bump()
    forget_totals()
    RegistryChange.note(version, kind, {getattr(instance, field)})
    observe(Change(DELETED, type(instance), (instance,), (), version))


class AddressPart(RegistryModel):
    """An agency, a service or an operation: a code in aliases, and on the legacy wire a name of 1.99x beside it."""

    legacy_name = models.CharField(
        _("name in MANTRA 1.99x"),
        max_length=128,
        blank=True,
        validators=[legacy_name_validator],
        help_text=_("Only if it differs from the code. Programs for MANTRA 1.99x then use this name in the address."),
    )

    class Meta:
        abstract = True

    def _in_use(self) -> Q:
        """Return the rows with the code too, or a name of 1.99x that is also theirs: an address names one operation."""
        taken = super()._in_use() | Q(legacy_name__iexact=self.code)  # type: ignore[attr-defined]
        if self.legacy_name:
            taken |= Q(code__iexact=self.legacy_name) | Q(legacy_name__iexact=self.legacy_name)
        return taken

    def _name_in_use(self) -> str:
        by_code = not self.legacy_name or self._siblings().filter(super()._in_use()).exists()
        return "code" if by_code else "legacy_name"

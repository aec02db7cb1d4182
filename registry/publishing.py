"""The rules of publishing: open access, personal data, and what a second person must approve.

They are pure functions over two publications: what callers get now, and what they would get. registry/versions.py asks
them wherever something becomes published, or is published and changes: admin, management API, bundles, imports.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.translation import gettext

from registry import versions
from registry.models import Field, Guard, Operation, Parameter, names, open_values_message
from registry.models.egress import RANKS
from registry.personal_data import IDENTIFIERS, POSSIBLE, recognize
from registry.personal_data.masks import DROPPED, stricter
from registry.versions import Change, Definition

#: Classifications, the least protected first.
_RANKS = {
    Field.Classification.PUBLIC: 0,
    Field.Classification.INTERNAL: 1,
    Field.Classification.PERSONAL: 2,
    Field.Classification.SPECIFIC: 3,
}
_PERSONAL = frozenset({Field.Classification.PERSONAL, Field.Classification.SPECIFIC})
#: Types of parameters that identify a person: so does a column with the name of such a parameter.
_IDENTIFYING = frozenset({Parameter.Type.NIK, Parameter.Type.NPWP})


@dataclass(frozen=True, slots=True)
class PublishedKind:
    """What the rules need to know of one kind of operation."""

    #: Columns that limit what one call gives. A higher value gives callers more.
    limits: Sequence[str]
    #: Returns where the data of a definition comes from: sources or servers.
    origins: Callable[[Definition], frozenset[str]]
    #: Returns the text by which a definition selects the data, equal for texts that differ in their layout only.
    query: Callable[[Definition], str]
    #: Returns the columns of the result of what is about to be put into force, None if they are not known.
    #: Raises ValidationError, and lookups.LookupNeeded.
    result: Callable[[Change], Sequence[str] | None] = lambda _change: None
    #: Returns the columns of the result, in lower case, with the columns of the origin that their values come from; ""
    #: for columns without a name of their own. WHOLE_ROW: all columns of a table. None: nobody knows.
    built_from: Callable[[Definition], Mapping[str, Collection[str]] | None] = lambda _definition: {}
    #: Returns the columns that a look at the data shows to be identifiers: column → "nik", "kk" or "npwp". It is asked
    #: for open access only. Raises lookups.LookupNeeded.
    seen: Callable[[Change], Mapping[str, str]] = lambda _change: {}
    #: Returns False for a definition whose responses go out whole, whatever columns are declared.
    restricts: Callable[[Definition], bool] = lambda _definition: True
    #: Returns True for a definition by which callers' own credentials are sent on.
    forwards: Callable[[Definition], bool] = lambda _definition: False
    #: Returns the names of the values of grants by which rows are selected.
    grant_values: Callable[[Definition], frozenset[str]] = lambda _definition: frozenset()
    #: Returns words that tell what the data is about, where its columns do not.
    words: Callable[[Definition], Iterable[str]] = lambda _definition: ()


#: Among the columns that another is built from: all columns of a table.
WHOLE_ROW = "*"


#: Kind of operation → what the rules need to know of it. Each package registers its own when its app is ready.
KINDS: dict[str, PublishedKind] = {}


@dataclass(frozen=True, slots=True)
class Publication:
    """What callers of an operation get: the part of its definition that the rules are about."""

    open: bool
    #: Column → its classification. Columns that nobody declared but that are known to be in the result are internal.
    columns: Mapping[str, str]
    #: Names that callers must give, without a default: they keep a call from fetching everything.
    filters: frozenset[str]
    #: Label of a limit → its value.
    limits: Mapping[str, int]
    origins: frozenset[str]
    query: str
    #: True if the response has no columns other than ``columns``.
    complete: bool = True
    #: Columns that have the name of a parameter of a type that identifies a person.
    identifying: frozenset[str] = field(default_factory=frozenset)
    #: Column → the columns of the origin that its values come from: an alias is no protection.
    behind: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: False: the response goes out as it came, whatever columns are declared.
    restricted: bool = True
    #: The origins get the credentials of callers.
    forwards: bool = False
    #: Column → its mask, for those that have one. Columns that are left out are none.
    masks: Mapping[str, str] = field(default_factory=dict)
    #: The values of grants by which rows are selected.
    grant_values: frozenset[str] = field(default_factory=frozenset)
    #: Names of personal data that the response may have, where nobody knows its columns, or what they are built from.
    suspected: frozenset[str] = field(default_factory=frozenset)
    #: What becomes of personal data that nobody declared, and the kinds that are meant to go out.
    guard: str = Guard.ALARM
    guard_expected: frozenset[str] = field(default_factory=frozenset)

    @property
    def identifiers(self) -> list[str]:
        """The columns that hold NIK, KK or NPWP.

        By their own name, that of a column they are built from, or the type of the parameter with that name.
        """
        return [name for name in self.columns if name in self.identifying or any(map(_is_identifier, self._all(name)))]

    def is_recognised(self, name: str) -> bool:
        """Return True if a column holds personal data by its name, or by those of the columns it is built from."""
        return any(each == WHOLE_ROW or _is_recognised(each) for each in self._all(name))

    def _all(self, name: str) -> list[str]:
        return [name, *self.behind.get(name, ())]

    def labels(self, names: Iterable[str]) -> list[str]:
        """Return columns as messages name them, with the personal columns that they are built from."""
        return [self._label(name) for name in names]

    def _label(self, name: str) -> str:
        behind = [
            each for each in self.behind.get(name, ())
            if each.lower() != name.lower() and (each == WHOLE_ROW or _is_recognised(each))
        ]  # fmt: skip
        return f"{name} ({', '.join(sorted(behind))})" if behind else name

    @property
    def personal(self) -> list[str]:
        """The columns with personal data: by classification, and recognised ones unless they are called public."""
        recognised = {
            name for name, classification in self.columns.items()
            if classification != Field.Classification.PUBLIC and self.is_recognised(name)
        }  # fmt: skip
        found = {name for name, classification in self.columns.items() if classification in _PERSONAL}
        found.update(recognised, self.identifiers)
        return [*(name for name in self.columns if name in found), *sorted(self.suspected.difference(self.columns))]


def publication(kind: str, definition: Definition, result: Iterable[str] | None = None) -> Publication:
    """Return what callers of an operation with this definition get.

    ``result`` are the columns of the source's result, None if they are not known.
    """
    columns, rows = definition["columns"], definition["lists"]["parameters"]
    fields = definition["lists"]["fields"]
    masks = {each["name"]: each["mask"] for each in fields if each.get("mask")}
    declared = {each["name"]: each["classification"] for each in fields if masks.get(each["name"]) != DROPPED}
    known = declared or dict.fromkeys(result or (), str(Field.Classification.INTERNAL))
    rules = KINDS[kind]
    built = rules.built_from(definition)
    restricted = rules.restricts(definition)
    complete = restricted and (bool(declared) or result is not None)
    words = rules.words(definition) if built is None or not complete else ()
    return Publication(
        open=columns["access"] == Operation.Access.OPEN,
        columns=known,
        filters=frozenset(row["name"] for row in rows if row["required"] and not row["default"]),
        limits={_label(kind, name): columns[name] for name in rules.limits},
        origins=rules.origins(definition),
        query=rules.query(definition),
        complete=complete,
        restricted=restricted,
        forwards=rules.forwards(definition),
        masks=masks,
        grant_values=rules.grant_values(definition),
        identifying=frozenset(row["name"] for row in rows if row["type"] in _IDENTIFYING and row["name"] in known),
        behind={name: tuple(found) for name in known if (found := _behind(name, built or {}))},
        guard=columns.get("guard", Guard.ALARM),
        guard_expected=frozenset(names(columns.get("guard_expected", ""))),
        suspected=frozenset(word for word in words if word == WHOLE_ROW or _is_recognised(word)),
    )


def with_seen(new: Publication, seen: Mapping[str, str]) -> Publication:
    """Return a publication with what a look at the data has shown of its columns."""
    return replace(new, behind={**new.behind, **{name: (*new.behind.get(name, ()), seen[name]) for name in seen}})


def _behind(name: str, built: Mapping[str, Collection[str]]) -> Collection[str]:
    return built.get(name.lower(), built.get("", ()))


def _label(kind: str, column: str) -> str:
    return next(str(each.verbose_name) for each in versions.KINDS[kind].columns if each.name == column)


def stored(operation: Operation) -> Publication:
    """Return what callers of an operation get with its rows as they are stored."""
    return publication(operation.kind, versions.definition(operation))


# --------------------------------------------------------------------------------- what is refused, what is asked


def problems(new: Publication) -> list[str]:
    """Return why nobody may publish ``new``, as sentences that say what to do. Empty: it may be published."""
    if not new.open:
        return []
    if new.grant_values:
        return [open_values_message(sorted(new.grant_values))]
    if not new.restricted:
        text = gettext(
            "The bus passes this response on unread, so it cannot be open. Restrict access, or change style."
        )
        return [text]
    if not new.complete:
        return [gettext("Open access needs declared columns: nobody knows yet what anybody could read. Declare them.")]
    found = []
    if new.identifiers:
        text = gettext("NIK, KK and NPWP are never open to everybody: %(names)s. Remove them, or restrict access.")
        found.append(text % _names(new.labels(new.identifiers)))
    rest = [
        name for name, classification in new.columns.items()
        if classification != Field.Classification.PUBLIC and name not in new.identifiers
    ]  # fmt: skip
    if rest:
        text = gettext("Open access is for public columns only. Remove %(names)s, or classify them as public.")
        found.append(text % _names(rest))
    return found


def questions(old: Publication | None, new: Publication) -> list[str]:
    """Return what must be answered with a reason, as sentences. What ``old`` was asked already is not asked again."""
    asked = _questions(old, new)
    answered = _questions(None, old) if old is not None else {}
    return [text for key, text in asked.items() if key not in answered]


def _questions(old: Publication | None, new: Publication) -> dict[tuple[str, ...], str]:
    """Return the questions by what they are about."""
    found: dict[tuple[str, ...], str] = {}
    if new.personal and not new.filters:
        text = gettext("Callers can fetch all rows with %(names)s, because no parameter is required. Write why.")
        found["list", *new.personal] = text % _names(new.labels(new.personal))
    if new.forwards:
        text = gettext("The backend gets the access keys of callers, which open other operations too. Write why.")
        found["credentials", *sorted(new.origins)] = text
    plain = [name for name in new.identifiers if new.columns[name] not in _PERSONAL]
    plain += [
        name for name, classification in new.columns.items()
        if classification == Field.Classification.PUBLIC and name not in plain and new.is_recognised(name)
    ]  # fmt: skip
    if plain:
        text = gettext("%(names)s may be personal data and is not classified so. Classify it, or write why it is none.")
        found["plain", *plain] = text % _names(new.labels(plain))
    lowered = [name for name in _lowered(old, new) if name not in plain] if old is not None else []
    if lowered:
        text = gettext("%(names)s was more protected before. Write why the lower classification is right.")
        found["lowered", *lowered] = text % _names(lowered)
    return found


# -------------------------------------------------------------------------------------------------- second person


def widenings(old: Publication, new: Publication) -> list[str]:
    """Return in what ``new`` gives callers more than ``old``, as sentences."""
    found = []
    if new.open and not old.open:
        found.append(gettext("Everybody may call it, without a key."))
    if old.complete and not new.complete:
        found.append(gettext("Columns are no longer declared: callers get all of them."))
    elif more := [name for name in new.columns if name not in old.columns and old.complete]:
        found.append(gettext("New columns: %(names)s.") % _names(more))
    if lowered := _lowered(old, new):
        found.append(gettext("Less protected columns: %(names)s.") % _names(lowered))
    if unmasked := _unmasked(old, new):
        found.append(gettext("Less masked columns: %(names)s.") % _names(unmasked))
    if lost := sorted(old.filters - new.filters):
        found.append(gettext("No longer required from callers: %(names)s.") % _names(lost))
    if raised := [
        f"{name} {old.limits[name]} → {value}" for name, value in new.limits.items() if value > old.limits[name]
    ]:
        found.append(gettext("Higher limits: %(names)s.") % _names(raised))
    if added := sorted(new.origins - old.origins):
        found.append(gettext("Another origin of the data: %(names)s.") % _names(added))
    if is_less_guarded(old, new):
        found.append(gettext("Undeclared personal data is guarded less."))
    if new.query != old.query:
        found.append(gettext("Other rows may come back: the query has changed."))
    return found


def is_less_guarded(old: Publication, new: Publication) -> bool:
    """Return True if personal data that nobody declared leaves by ``new`` and not by ``old``."""
    if RANKS[new.guard] < RANKS[old.guard]:
        return True
    return new.guard != Guard.ALLOW and bool(new.guard_expected - old.guard_expected)


def needs_second_person(old: Publication | None, new: Publication) -> bool:
    """Return True if a second person must approve ``new``: it has personal data and is new, or gives callers more.

    It also must be approved that callers' credentials go to a backend: whoever has it could call in their name.
    ``old`` is what callers get now; None if nothing is published.
    """
    if new.forwards and (old is None or not old.forwards or bool(new.origins - old.origins)):
        return True
    if old is None:
        return bool(new.personal)
    if RANKS[old.guard] > RANKS[Guard.ALARM] and is_less_guarded(old, new):
        return True
    return bool(new.personal or old.personal) and bool(widenings(old, new))


def _is_identifier(name: str) -> bool:
    """Return True if a column of this name holds NIK, KK or NPWP."""
    found = recognize(name)
    return found is not None and found.kind in IDENTIFIERS


def _is_recognised(name: str) -> bool:
    """Return True if a column of this name holds personal data. A name that may mean other things does not count."""
    found = recognize(name)
    return found is not None and found.certainty != POSSIBLE


def _lowered(old: Publication, new: Publication) -> list[str]:
    """Return the columns whose classification protects them less than before."""
    return [
        name for name, classification in new.columns.items()
        if name in old.columns and _RANKS[classification] < _RANKS[old.columns[name]]  # type: ignore[index]
    ]  # fmt: skip


def _unmasked(old: Publication, new: Publication) -> list[str]:
    """Return the columns of which callers get more than before."""
    return [
        name for name in new.columns
        if name in old.columns and old.masks.get(name, "") not in ("", new.masks.get(name, ""))
        and stricter(old.masks[name], new.masks.get(name, "")) == old.masks[name]
    ]  # fmt: skip


def _names(names: Iterable[str]) -> dict[str, Any]:
    """Return names as the parameter of a sentence: the first twenty, there may be a thousand."""
    listed = list(names)
    more = ["…"] if len(listed) > 20 else []
    return {"names": ", ".join([*listed[:20], *more])}

"""Applying a bundle: everything in it or nothing, with what changed and every error by its place in the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from dataservices.models import DataOperation, DataSource
from mantra.definitions import reading, schema
from mantra.definitions.marks import undeclared
from mantra.definitions.reading import Block, Surroundings, Unreadable
from mantra.definitions.schema import Constant, Key, Shape
from proxyservices.models import Contract, ProxyOperation, Upstream
from proxyservices.models import Mapping as Placed
from registry import secrets
from registry.child_rows import Replacement, identity, replacement
from registry.models import AccessKey, Agency, Application, Field, Grant, Operation, Parameter, Service

CREATED, CHANGED = "+", "~"
#: A list inside an operation → its rows' model, their keys, and those that tell one row from another.
_LISTS: dict[str, tuple[type[Model], Shape, tuple[str, ...]]] = {
    "parameters": (Parameter, schema.PARAMETER, ("name",)),
    "fields": (Field, schema.FIELD, ("name",)),
    "upstreams": (Upstream, schema.UPSTREAM, ("url",)),
    "mappings": (Placed, schema.MAPPING, ("name", "place")),
    "contracts": (Contract, schema.CONTRACT, ("url",)),
}
_OPERATION_MODELS: dict[str, type[Operation]] = {"data": DataOperation, "proxy": ProxyOperation}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: as in services[0].operations[2].sql."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Change:
    """One thing made or changed, and the lines that say how."""

    mark: str
    noun: str
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.mark} {self.noun} {self.name}", *(f"    {line}" for line in self.details)])


@dataclass(slots=True)
class Report:
    problems: list[Problem] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        return "\n".join([*lines, f"= {self.unchanged} unchanged"])


class _Rollback(Exception):
    """Ends the transaction."""


def apply(text: str, around: Surroundings, dry_run: bool = False) -> Report:
    """Apply a bundle. With problems, or as a dry run, the book stays as it was."""
    run = _Run(around)
    try:
        with transaction.atomic():
            run.bundle(text)
            if dry_run or run.report.problems:
                raise _Rollback
    except _Rollback:
        pass
    return run.report


class _Run:
    """One bundle on its way into the book."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.report = Report()
        #: (noun, name) of what the file holds but could not be stored: already told, not to be told again.
        self.failed: set[tuple[str, str]] = set()

    # ----------------------------------------------------------------------------- reading

    def problem(self, path: str, message: str) -> None:
        self.report.problems.append(Problem(path, message))

    def bundle(self, text: str) -> None:
        try:
            document = reading.load(text)
        except Unreadable as error:
            return self.problem("", str(error))
        block = self.block(document, "", schema.TOP)
        if block is None:
            return
        self.agencies(list(self.items(block, "agencies")))
        for path, item in self.items(block, "sources"):
            self.source(path, item)
        for path, item in self.items(block, "services"):
            self.service(path, item)
        for path, item in self.items(block, "applications"):
            self.application(path, item)

    def block(self, value: Any, path: str, known: Sequence[str]) -> Block | None:
        """``value`` as a mapping with none but known keys; what is wrong with its keys is noted."""
        if not isinstance(value, Block):
            self.problem(path, _("Write a mapping of names to values."))
            return None
        for name in value.repeated:
            self.problem(_at(path, name), _("This key stands here more than once."))
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.6)
                hint = _("Did you mean %(name)s?") % {"name": near[0]} if near else ", ".join(known)
                self.problem(_at(path, name), _("There is no such key. %(hint)s") % {"hint": hint})
        return value

    def items(self, block: Block, name: str, path: str = "") -> Iterator[tuple[str, Any]]:
        """The members of a list with their places."""
        value = block.get(name)
        if reading.is_null(value):
            return
        place = _at(path, name)
        if not isinstance(value, list):
            return self.problem(place, _("Write a list."))
        for index, item in enumerate(value):
            yield f"{place}[{index}]", item

    def values(self, block: Block, path: str, keys: Sequence[Key]) -> dict[str, Any]:
        """What the file says of the given keys, read; what cannot be read is noted and left out."""
        found = {}
        for key in keys:
            if key.name in block:
                try:
                    found[key.name] = key.read(block[key.name], self.around)
                except Unreadable as error:
                    self.problem(_at(path, key.name), str(error))
        return found

    def word(self, block: Block, path: str, name: str, required: bool = True) -> str:
        """A key that names something; "" when it is missing, which is noted where it is required."""
        value = block.get(name)
        if isinstance(value, str) and not reading.is_null(value) and value:
            return str(value)
        if value is not None and not reading.is_null(value):
            self.problem(_at(path, name), _("Write a text."))
        elif required:
            self.problem(_at(path, name), _("This key is needed."))
        return ""

    # ----------------------------------------------------------------------------- storing

    def store(
        self,
        path: str,
        kind: Shape,
        name: str,
        row: Model,
        values: dict[str, Any],
        extra: dict[str, tuple[Any, Any]] | None = None,
        lists: dict[str, Replacement] | None = None,
    ) -> bool:
        """Validate and save one thing, if anything changed. ``extra`` are changes that the caller made already."""
        new = row.pk is None
        changes = dict(extra or {})
        by_name = {key.name: key for key in kind.keys}
        for attribute, value in values.items():
            old = getattr(row, attribute)
            if new or not by_name[attribute].same(old, value):
                changes[attribute] = (old, value)
                setattr(row, attribute, value)
        touched = {label: found for label, found in (lists or {}).items() if found}
        loose = _loose(row)
        sound = self.sound(path, row, kind, exclude=loose) and not loose
        saved = not (new or changes or touched) or self.save(row, path, sound)
        if not saved:
            self.failed.add((kind.noun, name))
        elif new:
            self.report.changes.append(Change(CREATED, kind.noun, name))
        elif changes or touched:
            details = [line for label, change in changes.items() for line in _lines(label, *change, by_name.get(label))]
            details += [line for label, found in touched.items() for line in _list_lines(label, found)]
            self.report.changes.append(Change(CHANGED, kind.noun, name, tuple(details)))
        else:
            self.report.unchanged += 1
        return saved

    def sound(self, path: str, row: Model, kind: Shape, exclude: set[str] | None = None) -> bool:
        """Whether the model's own rules hold. Each breach is noted at the key that it concerns."""
        try:
            row.full_clean(exclude=exclude)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                place = _at(path, name) if name in kind.names else path
                for message in messages:
                    self.problem(place, message)
            # Nothing can be told about what stands on a row whose choice is not among the choices.
            return not any(row._meta.get_field(name).choices for name in error.message_dict if name in kind.names)  # type: ignore[union-attr]
        return True

    def save(self, row: Model, path: str, sound: bool) -> bool:
        """Save even what breaks a rule, so that the rest can be checked against it: it is all undone at the end."""
        if not sound:
            return False
        try:
            with transaction.atomic():
                row.save()
        except (DatabaseError, ValueError, TypeError, OverflowError):
            if not any(problem.path.startswith(path) for problem in self.report.problems):
                self.problem(path, _("The database does not take it."))
            return False
        return True

    def seen(self, path: str, noun: str, name: str, met: set[str]) -> bool:
        """Whether the file held this name before, which is noted."""
        if name.lower() in met:
            self.problem(path, _("The file holds %(noun)s %(name)s more than once.") % {"noun": noun, "name": name})
            return True
        met.add(name.lower())
        return False

    def agency(self, block: Block, path: str, name: str = "agency") -> Agency | None:
        code = self.word(block, path, name)
        found = Agency.objects.filter(code__iexact=code).first() if code else None
        if code and found is None and ("agency", code) not in self.failed:
            self.problem(_at(path, name), _("There is no agency %(code)s.") % {"code": code})
        return found

    # ------------------------------------------------------------------------- the four lists

    def agencies(self, items: list[tuple[str, Any]]) -> None:
        """Parents before their children, whatever the order in the file."""
        waiting: dict[str, tuple[str, Block]] = {}
        met: set[str] = set()
        for path, item in items:
            block = self.block(item, path, schema.AGENCY.names)
            code = self.word(block, path, "code") if block is not None else ""
            if block is not None and code and not self.seen(path, "agency", code, met):
                waiting[code] = (path, block)
        while waiting:
            ready = [code for code, (_path, block) in waiting.items() if str(block.get("parent")) not in waiting]
            for code in ready or list(waiting):
                self.one_agency(code, *waiting.pop(code))

    def one_agency(self, code: str, path: str, block: Block) -> None:
        row = Agency.objects.filter(code=code).first() or Agency(code=code)
        extra: dict[str, tuple[Any, Any]] = {}
        if "parent" in block:
            parent = None
            if not reading.is_null(block["parent"]) and block["parent"] != "":
                parent = self.agency(block, path, "parent")
            if (parent and parent.pk) != row.parent_id:
                extra["parent"] = (row.parent and row.parent.code, parent and parent.code)
                row.parent = parent
        self.store(path, schema.AGENCY, code, row, self.values(block, path, schema.AGENCY.keys), extra)

    def source(self, path: str, item: Any) -> None:
        block = self.block(item, path, schema.SOURCE.names)
        if block is None:
            return
        agency, code = self.agency(block, path), self.word(block, path, "code")
        values = self.values(block, path, schema.SOURCE.keys)
        name = f"{block.get('agency')}/{code}"
        if agency is None or not code:
            self.failed.add((schema.SOURCE.noun, name))
            return
        row = DataSource.objects.filter(agency=agency, code=code).first() or DataSource(agency=agency, code=code)
        self.store(path, schema.SOURCE, name, row, values)

    def service(self, path: str, item: Any) -> None:
        block = self.block(item, path, schema.SERVICE.names)
        if block is None:
            return
        agency, code = self.agency(block, path), self.word(block, path, "code")
        values = self.values(block, path, schema.SERVICE.keys)
        service = None
        if agency is not None and code:
            service = Service.objects.filter(agency=agency, code=code).first() or Service(agency=agency, code=code)
            self.store(path, schema.SERVICE, f"{agency.code}/{code}", service, values)
        met: set[str] = set()
        for place, inner in self.items(block, "operations", path):
            self.operation(place, inner, service, f"{block.get('agency')}/{code}", met)

    def application(self, path: str, item: Any) -> None:
        block = self.block(item, path, schema.APPLICATION.names)
        if block is None:
            return
        agency, code = self.agency(block, path), self.word(block, path, "code")
        values = self.values(block, path, schema.APPLICATION.keys)
        row: Application | None = None
        if agency is not None and code:
            row = Application.objects.filter(agency=agency, code=code).first() or Application(agency=agency, code=code)
            if not self.store(path, schema.APPLICATION, f"{agency.code}/{code}", row, values):
                row = None
        for place, inner in self.items(block, "keys", path):
            self.legacy_key(place, inner, row)
        met: set[str] = set()
        for place, inner in self.items(block, "grants", path):
            self.grant(place, inner, row, met)

    # ------------------------------------------------------------------------------ operations

    def operation(self, path: str, item: Any, service: Service | None, above: str, met: set[str]) -> None:
        if not isinstance(item, Block):
            self.block(item, path, ())
            return
        code = self.word(item, path, "code")
        name = f"{above}/{code}"
        stored = None
        if service is not None and service.pk and code:
            stored = Operation.objects.filter(service=service, code=code).first()
        kind = self.kind(item, path, stored)
        if kind is None or (code and self.seen(path, "operation", code, met)):
            self.failed.add(("operation", name))
            return
        of = schema.OPERATIONS[kind]
        self.block(item, path, of.names)
        model = _OPERATION_MODELS[kind]
        row = model._default_manager.get(pk=stored.pk) if stored is not None else model(code=code, kind=kind)
        if service is not None and service.pk:
            row.service = service
        values = self.values(item, path, of.keys)
        extra = self.its_source(row, item, path) if isinstance(row, DataOperation) else {}
        lists = self.lists(row, item, path)
        if isinstance(row, DataOperation) and row.source_id:
            self.marks(row, values, lists, path)
        if self.store(path, of, name, row, values, extra, lists):
            for found in lists.values():
                found.save()
        else:
            self.failed.add(("operation", name))

    def kind(self, block: Block, path: str, stored: Operation | None) -> str | None:
        named = self.word(block, path, "kind", required=stored is None)
        if named and named not in schema.OPERATIONS:
            self.problem(_at(path, "kind"), _("Write one of %(words)s.") % {"words": ", ".join(schema.OPERATIONS)})
        elif named and stored is not None and stored.kind != named:
            self.problem(_at(path, "kind"), _("The operation is of kind %(kind)s.") % {"kind": stored.kind})
        else:
            return named or (stored.kind if stored is not None else None)
        return None

    def its_source(self, row: DataOperation, block: Block, path: str) -> dict[str, tuple[Any, Any]]:
        """Point a data operation at the source that the file names: a code of the same agency, or agency/code."""
        if "source" not in block and row.pk:
            return {}
        name = self.word(block, path, "source")
        agency, _slash, code = name.rpartition("/")
        if not agency and row.service_id:
            agency = row.service.agency.code
        found = DataSource.objects.filter(agency__code=agency, code=code).first() if name else None
        if found is None:
            if name and row.service_id and (schema.SOURCE.noun, f"{agency}/{code}") not in self.failed:
                self.problem(_at(path, "source"), _("There is no source %(name)s.") % {"name": name})
            return {}
        if found.pk == row.source_id:
            return {}
        old = str(row.source) if row.source_id else ""
        row.source = found
        return {"source": (old, str(found))}

    def lists(self, row: Operation, block: Block, path: str) -> dict[str, Replacement]:
        """The lists that the file gives the operation."""
        known = schema.OPERATIONS[row.kind].inside
        return {label: self.list_of(row, block, path, label) for label in _LISTS if label in block and label in known}

    def marks(self, row: DataOperation, values: dict[str, Any], lists: dict[str, Replacement], path: str) -> None:
        """Check that every :mark of the SQL, as it is going to be, has its parameter."""
        if "parameters" in lists:
            rows = lists["parameters"].rows
        else:
            rows = list(row.parameters.all()) if row.pk else []
        planned = DataOperation(
            source=row.source,
            sql=values.get("sql", row.sql),
            page_size=values.get("page_size", row.page_size) or 0,
        )
        problem = undeclared(planned, [parameter.name for parameter in rows])
        if problem:
            self.problem(_at(path, "sql"), problem)

    def list_of(self, row: Operation, block: Block, path: str, label: str) -> Replacement:
        model, of, key = _LISTS[label]
        wanted, places = [], []
        met: set[str] = set()
        for place, item in self.items(block, label, path):
            inner = self.block(item, place, of.names)
            if inner is None or not self.word(inner, place, key[0]):
                continue
            values = self.values(inner, place, of.keys)
            if key[0] not in values or not self.settled(values, place, of):
                continue
            if not self.seen(place, of.noun, " ".join(identity(model, key, values)), met):
                wanted.append(values)
                places.append(place)
        by_name = {each.name: each for each in of.keys}
        found = replacement(
            model, row, key, wanted, list(by_name), lambda name, old, new: by_name[name].same(old, new),
            kept=frozenset(each.name for each in of.keys if each.secret),
        )  # fmt: skip
        for place, made in zip(places, found.rows, strict=True):
            self.sound(place, made, of, exclude={"operation"})
        return found

    def settled(self, values: dict[str, Any], place: str, of: Shape) -> bool:
        """Whether what one value means by another's word could be read; if not, that is noted."""
        for key in of.keys:
            if isinstance(key, Constant):
                try:
                    key.settle(values, self.around)
                except Unreadable as error:
                    self.problem(_at(place, key.name), str(error))
                    return False
        return True

    # ----------------------------------------------------------------------- keys and grants

    def its_operation(self, block: Block, path: str) -> Operation | None:
        name = self.word(block, path, "operation")
        if not name:
            return None
        parts = name.split("/")
        found = None
        if len(parts) == 3:
            found = Operation.objects.filter(
                service__agency__code=parts[0], service__code=parts[1], code=parts[2]
            ).first()
        if found is None and ("operation", name) not in self.failed:
            self.problem(
                _at(path, "operation"), _("There is no operation %(name)s (agency/service/operation).") % {"name": name}
            )
        return found

    def legacy_key(self, path: str, item: Any, application: Application | None) -> None:
        of = schema.LEGACY_KEY
        block = self.block(item, path, of.names)
        if block is None:
            return
        plain, operation = self.plain_key(block, path), self.its_operation(block, path)
        values = self.values(block, path, of.keys)
        if application is None or operation is None or not plain:
            return
        row = AccessKey.objects.filter(digest__in=secrets.key_digests(plain)).first()
        name = f"{secrets.public_part(plain)} of {application} for {operation}"
        if row is None:
            row = AccessKey.adopt(application, plain, operation)
            for attribute, value in values.items():
                setattr(row, attribute, value)
            if self.sound(path, row, of) and self.save(row, path, sound=True):
                self.report.changes.append(Change(CREATED, of.noun, name))
        elif row.application_id != application.pk or row.operation_id != operation.pk:
            self.problem(path, _("The key is in use for another application or another operation."))
        else:
            self.store(path, of, name, row, values)

    def plain_key(self, block: Block, path: str) -> str:
        place = _at(path, "legacy")
        text = self.word(block, path, "legacy")
        try:
            plain = self.around.secret(text)
        except Unreadable as error:
            self.problem(place, str(error))
            return ""
        if text and (not plain.isascii() or not plain.isprintable() or " " in plain or len(plain) < 8):
            self.problem(place, _("A key has at least 8 letters and digits, and no spaces."))
            return ""
        return plain

    def grant(self, path: str, item: Any, application: Application | None, met: set[str]) -> None:
        block = self.block(item, path, schema.GRANT.names)
        if block is None:
            return
        operation = self.its_operation(block, path)
        values = self.values(block, path, schema.GRANT.keys)
        if application is None or operation is None or self.seen(path, "grant", str(operation), met):
            return
        row = Grant.objects.filter(application=application, operation=operation).first()
        row = row or Grant(application=application, operation=operation)
        self.store(path, schema.GRANT, f"{application} → {operation}", row, values)


# ----------------------------------------------------------------------------------- the words


def _loose(row: Model) -> set[str]:
    """Needed references that are not set, because what they should point to could not be stored."""
    return {
        each.name
        for each in row._meta.concrete_fields
        if each.is_relation and not each.null and not each.primary_key and getattr(row, each.attname) is None
    }


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    return str(value)


def _lines(label: str, old: Any, new: Any, key: Key | None) -> list[str]:
    """The lines that tell one change; of a secret only that there is one."""
    if key is not None and key.secret:
        return [f"{label}: (changed)"]
    if key is not None:
        old, new = key.write(old), key.write(new)
    if "\n" in str(old) or "\n" in str(new):
        compared = difflib.ndiff(str(old).splitlines(), str(new).splitlines())
        return [f"{label}:", *(f"    {line}" for line in compared if line[:1] != "?")]
    return [f"{label}: {_shown(old)} → {_shown(new)}"]


def _list_lines(label: str, found: Replacement) -> list[str]:
    by_name: Mapping[str, Key] = {key.name: key for key in _LISTS[label][1].keys}
    lines = [f"+ {label}.{row}" for row in found.added] + [f"- {label}.{row}" for row in found.gone]
    for row, change in found.changed:
        for name, (old, new) in change.items():
            lines += _lines(f"{label}.{row}.{name}", old, new, by_name[name])
    return lines or [f"{label}: in another order"]

"""Takes a database of MANTRA 1.99x over: agencies, users, services, operations, and keys with their grants.

A run can be repeated. It changes only what has changed in the old database since the run before it; what people have
changed, deleted or revoked here stays so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.legacy_import import keys, people
from mantra.legacy_import.aside import aside
from mantra.legacy_import.ledger import Ledger
from mantra.legacy_import.models import LegacyImport, OldCallsOfDay, OldTable, Outcome
from mantra.legacy_import.old import OldAgency, OldDatabase, OldService
from mantra.legacy_import.old_programs import OldPrograms
from mantra.legacy_import.operations import Operations
from mantra.legacy_import.placing import cut, named, place, rules, title_of
from mantra.legacy_import.translating import names
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from mantra.legacy_import.writing import PieceWriter
from registry.models import Agency, Service, User
from registry.models.changes import together, undone

#: What a run may be limited to, each with what it needs.
PARTS = ("agencies", "users", "services", "operations", "orders", "calls")
#: Characters of names, titles and descriptions.
_NAME, _DESCRIPTION = 200, 10_000
#: Rows that are written in one transaction: other changes of the registry wait for its end.
CHUNK = 100


def _website(text: str, said: list[Remark]) -> str:
    """Return a website as an address; many were written without http://."""
    found = text.strip()
    if not found:
        return ""
    address = found if "://" in found else f"http://{found}"
    try:
        URLValidator(schemes=["http", "https"])(address)
    except ValidationError:
        said.append(remark(Kind.WEBSITE_INVALID))
        return ""
    return address if len(address) <= _NAME else ""


def _first_email(text: str, said: list[Remark]) -> str:
    for each in text.replace(";", ",").replace(" ", ",").split(","):
        try:
            validate_email(each)
        except ValidationError:
            continue
        return each
    if text.strip():
        said.append(remark(Kind.EMAIL_INVALID))
    return ""


class _Rollback(Exception):
    """Ends the transaction of a dry run."""


@dataclass(slots=True)
class Options:
    """How a run is made. ``hosts``: hosts in definitions → what to write instead, as ``localhost`` needs it."""

    dry: bool = False
    only: Collection[str] = PARTS
    hosts: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    user: User | None = None
    #: What programs need of their keys.
    programs: OldPrograms = field(default_factory=OldPrograms)
    #: Called with the rows that were looked at so far.
    progress: Callable[[int], None] = lambda rows: None


class Cancelled(Exception):
    """Raised by ``Options.progress`` to end a run. What was taken stays."""


def run(database: OldDatabase, options: Options, made: LegacyImport | None = None) -> LegacyImport:
    """Take a database over, and return the run with its lines. A dry run changes nothing but keeps its lines.

    ``made``: the row of the run, if there is one already.
    """
    made = made or LegacyImport(dry=options.dry, user=options.user, source=options.source[:300])
    made.counts = database.counts()
    made.save()
    mover = _Mover(database, options, made)
    try:
        if options.dry:
            with aside() as on_the_registry:
                mover.around_progress = on_the_registry
                _undone(mover.move)
        else:
            mover.move()
        mover.ledger.store(made)
    except Cancelled:
        made.state = LegacyImport.State.CANCELLED
        raise
    except BaseException:
        made.state = LegacyImport.State.FAILED
        raise
    else:
        made.state = LegacyImport.State.DONE
    finally:
        made.rows, made.finished_at = len(mover.ledger.lines), timezone.now()
        made.found_hosts, made.missing_hosts = mover.ledger.found_hosts(), mover.ledger.missing_hosts()
        made.save(update_fields=["state", "rows", "finished_at", "found_hosts", "missing_hosts"])
    return made


def _undone(move: Callable[[], None]) -> None:
    try:
        with transaction.atomic(), undone():
            move()
            raise _Rollback
    except _Rollback:
        pass


class _Mover:
    def __init__(self, database: OldDatabase, options: Options, made: LegacyImport) -> None:
        self.database, self.options, self.made = database, options, made
        self.ledger = Ledger()
        self.ledger.note_oddities(database.oddities())
        self.writer = PieceWriter(_("Imported from MANTRA 1.99x"))
        #: Returns where progress is reported: a dry run works aside of the registry.
        self.around_progress: Callable[[], AbstractContextManager[None]] = nullcontext
        #: Old id → ours, of services its id.
        self.agencies: dict[int, Agency] = {}
        self.services: dict[int, int] = {}
        #: Name in lower case → the user's row here, and the full name.
        self.users: dict[str, User] = {}

    def move(self) -> None:
        only = self.options.only
        self._agencies()
        self._users()
        if {"services", "operations", "orders"} & set(only):
            self._services()
        if {"operations", "orders"} & set(only):
            operations = Operations(self.ledger, self.writer, self.services, self.options.hosts)
            operations.begin(self._codes())
            self._in_chunks(self.database.operations(), operations.take, operations.prepare)
            if "orders" in only:
                keys.take(
                    self.ledger, self.database.orders(), operations.taken, self.users, self.options.programs,
                    self._keep_lines, self._report,
                )  # fmt: skip
        if "calls" in only and not self.options.dry:
            self._calls()

    def _in_chunks(
        self, rows: Iterable[Any], take: Callable[[Any], None], prepare: Callable[[list[Any]], None] = lambda rows: None
    ) -> None:
        """Take rows, some in one transaction: what a run was ended in before stays taken.

        ``prepare`` is called with the rows of each transaction before they are taken.
        """
        waiting: list[Any] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) >= CHUNK:
                self._take_all(waiting, take, prepare)
                waiting = []
        if waiting:
            self._take_all(waiting, take, prepare)

    def _take_all(self, rows: list[Any], take: Callable[[Any], None], prepare: Callable[[list[Any]], None]) -> None:
        with transaction.atomic(), together():
            prepare(rows)
            for row in rows:
                take(row)
            self._keep_lines()
        self._report(len(self.ledger.lines))

    def _report(self, rows: int) -> None:
        with self.around_progress():
            self.options.progress(rows)

    def _keep_lines(self) -> None:
        """Store the lines with what they are about: a run that ends early is taken up from there."""
        if not self.options.dry:
            self.ledger.store(self.made)

    # ---------------------------------------------------------------------------------- agencies

    def _agencies(self) -> None:
        old = list(self.database.agencies())
        codes = self._codes_of(OldTable.AGENCIES, [(row.id, row.code) for row in old if row.id != 0], names.CODE)
        self._in_chunks(old, lambda row: self._agency(row, codes))

    def _agency(self, old: OldAgency, codes: Mapping[int, str]) -> None:
        if old.id == 0:
            self.ledger.add(OldTable.AGENCIES, 0, [remark(Kind.SYSTEM_AGENCY)], outcome=Outcome.OMITTED)
            return
        code = codes[old.id]
        said: list[Remark] = []
        piece = {"code": code, **named(old.code, code, said), "name": cut(old.name or old.code, _NAME, said)}
        piece["website"] = _website(old.website, said)
        piece["email"] = _first_email(old.email, said)
        there = Agency.objects.filter(code__iexact=code).first()
        line = place(
            self.ledger, self.writer, OldTable.AGENCIES, old.id, there, piece, ("code",), said,
            lambda writer, block: writer.agency(code, "", block),
        )  # fmt: skip
        # One that an earlier run made may have been deleted since.
        found = Agency.objects.filter(pk=line.ref).first() if line.ref is not None else None
        if found is not None:
            self.agencies[old.id] = found

    # ------------------------------------------------------------------------------------- users

    def _users(self) -> None:
        groups = {group.name: group for group in Group.objects.all()}
        emails = {email.lower() for email in User.objects.exclude(email="").values_list("email", flat=True)}

        def take(old: Any) -> None:
            name = old.username.strip().lower()
            agency = self.agencies.get(old.agency_id)
            before = self.ledger.before(OldTable.USERS, old.id)
            is_ours = before is not None and before.ref is not None
            same = {"pk": before.ref} if before is not None and is_ours else {"username__iexact": old.username.strip()}
            there = User.objects.filter(**same).first()
            if "users" not in self.options.only:
                if there is not None:
                    self.users[name] = there
                return
            if before is not None and is_ours:
                # Users are people: after the first run theirs is what counts.
                self.ledger.repeat(before)
            elif there is not None:
                self.ledger.add(OldTable.USERS, old.id, [remark(Kind.USER_EXISTS)], there, outcome=Outcome.MERGED)
            else:
                user, role, said = people.user_of(old, agency, emails)
                broken = people.store(user, role, groups)
                if broken:
                    self.ledger.add(OldTable.USERS, old.id, [*said, *rules(broken)])
                    return
                self.ledger.add(OldTable.USERS, old.id, said, user)
                there = user
            if there is not None:
                self.users[name] = there
            if agency is not None and name in self.users and self.users[name].agency_id is None:
                # Its keys belong to the agency, though its role does not.
                self.users[name].agency = agency

        self._in_chunks(self.database.users(), take)

    # ---------------------------------------------------------------------------------- services

    def _services(self) -> None:
        old = list(self.database.services())
        by_agency: dict[int, list[OldService]] = defaultdict(list)
        for row in old:
            by_agency[row.agency_id].append(row)
        codes: dict[int, str] = {}
        for rows in by_agency.values():
            codes |= self._codes_of(OldTable.SERVICES, [(row.id, row.code) for row in rows], names.CODE)
        self._in_chunks(old, lambda row: self._service(row, codes[row.id]))

    def _service(self, old: OldService, code: str) -> None:
        agency = self.agencies.get(old.agency_id)
        if agency is None:
            self.ledger.add(OldTable.SERVICES, old.id, [remark(Kind.WITHOUT_AGENCY)])
            return
        said: list[Remark] = []
        piece = {
            "agency": agency.code, "code": code, **named(old.code, code, said),
            "title": title_of(old.description, old.code), "description": cut(old.description, _DESCRIPTION, said),
        }  # fmt: skip
        there = Service.objects.filter(agency=agency, code__iexact=code).first()
        line = place(
            self.ledger, self.writer, OldTable.SERVICES, old.id, there, piece, ("agency", "code"), said,
            lambda writer, block: writer.service("", block),
        )  # fmt: skip
        if line.ref is not None:
            self.services[old.id] = line.ref

    def _codes(self) -> dict[int, str]:
        """Return the code of each operation, by its old id."""
        by_service: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for row in self.database.operations():
            by_service[row.service_id].append((row.id, row.code))
        found: dict[int, str] = {}
        for rows in by_service.values():
            found |= self._codes_of(OldTable.OPERATIONS, rows, names.OPERATION)
        return found

    # ------------------------------------------------------------------------------------- calls

    def _calls(self) -> None:
        """Replace the numbers of calls by those of the old database."""
        with transaction.atomic():
            OldCallsOfDay.objects.all().delete()
            batch: list[tuple[Any, ...]] = []
            for each in self.database.calls():
                batch.append((each.day, each.agency, each.username, each.status, each.calls))
                if len(batch) >= 5_000:
                    OldCallsOfDay.write(batch)
                    batch = []
            OldCallsOfDay.write(batch)

    # -------------------------------------------------------------------------------- a row each

    def _codes_of(self, table: OldTable, rows: list[tuple[int, str]], rule: names.Rule) -> dict[int, str]:
        """Return a code for each row of the same place. One that has a row here already keeps that one's code."""
        known: dict[int, str] = {}
        for old_id, _name in rows:
            before = self.ledger.before(table, old_id)
            if before is not None and before.ref is not None and before.code:
                known[old_id] = before.code
        new = [(old_id, name) for old_id, name in rows if old_id not in known]
        codes = names.codes_of([name for _id, name in new], rule, known.values())
        return known | {old_id: code for (old_id, _name), code in zip(new, codes, strict=True)}

"""Operations of 1.99x with the sources and backends that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dataservices.models import DataSource
from mantra.definitions.bundle_writer import BundleWriter, read_referred
from mantra.legacy_import.ledger import Ledger
from mantra.legacy_import.models import OldTable
from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.placing import named, place
from mantra.legacy_import.translating import (
    Connection,
    DataDefinition,
    ProgramDefinition,
    ProxyDefinition,
    Refused,
    Upstream,
    code_of,
    placeholder_source,
    translate,
)
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from mantra.legacy_import.writing import PieceWriter
from proxyservices.models import Backend
from registry.models import Agency, Operation, Service

#: The code of the source of drafts of programs.
_PROGRAMS = "program-199x"


def host_of(url: str) -> str:
    """Return the host of an address, "" if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@dataclass(slots=True)
class _Piece:
    """An operation as a bundle has it, None if it cannot be made, and what is said of it."""

    service: Service | None
    values: dict[str, Any] | None
    said: list[Remark]


class Operations:
    """Takes operations. ``services``: the ids of ours by the old ones; ``taken``: at the end, those that were taken."""

    def __init__(
        self, ledger: Ledger, writer: PieceWriter, services: Mapping[int, int], hosts: Mapping[str, str]
    ) -> None:
        self.ledger, self.writer, self.services, self.hosts = ledger, writer, services, hosts
        self.taken: dict[int, Operation] = {}
        self._codes: Mapping[int, str] = {}
        #: The services of the next operations by their ids; what these services have: (service's id, code in lower
        #: case) → id and code.
        self._now: Mapping[int, Service] = {}
        self._here: dict[tuple[int, str], tuple[int, str]] = {}
        #: The pieces of the next operations by their old ids.
        self._pieces: dict[int, _Piece] = {}
        #: (agency's id, what is shared) → the code of its source or backend, "" if it cannot be stored.
        self._shared: dict[tuple[int, Connection | Upstream | str], str] = {}

    def begin(self, codes: Mapping[int, str]) -> None:
        """Set the code of each operation, by its old id."""
        self._codes = codes

    def prepare(self, rows: Iterable[OldOperation]) -> None:
        """Read what is here of the services of the next operations, in the transaction in which they are taken.

        Sources and backends that they need are stored before them all: each is then read once.
        """
        services = {self.services[row.service_id] for row in rows if row.service_id in self.services}
        self._now = Service.objects.select_related("agency").in_bulk(services)
        found = Operation.objects.listed().filter(service__in=self._now).order_by()
        self._here = {
            (service, code.lower()): (id, code) for service, id, code in found.values_list("service", "pk", "code")
        }
        self._pieces = {row.id: self._piece_of(row) for row in rows}
        agencies = {service.agency_id for service in self._now.values()}
        referred = [each.values for each in self._pieces.values() if each.values is not None]
        read_referred(
            agencies, {each.get("source", "") for each in referred}, {each.get("backend", "") for each in referred}
        )

    def _piece_of(self, old: OldOperation) -> _Piece:
        service = self._now.get(self.services.get(old.service_id, 0))
        if service is None:
            return _Piece(None, None, [remark(Kind.WITHOUT_SERVICE)])
        try:
            definition = translate(old, self.hosts)
        except Refused as refused:
            return _Piece(service, None, [refused.remark])
        code = self._codes[old.id]
        said: list[Remark] = []
        legacy_name = named(old.code, code, said).get("legacy_name", "")
        said += definition.all_remarks
        values = self._values(definition, service.agency, code, legacy_name, said)
        if values is not None and not old.listed:
            values["listing"] = "hidden"
        return _Piece(service, values, said)

    def take(self, old: OldOperation) -> None:
        """Store an operation, and note what became of it."""
        piece = self._pieces.pop(old.id)
        service, values, said = piece.service, piece.values, piece.said
        if service is None or values is None:
            self.ledger.add(OldTable.OPERATIONS, old.id, said)
            return
        code = self._codes[old.id]
        here = self._here.get((service.pk, code.lower()))
        there = Operation(pk=here[0], service=service, code=here[1]) if here is not None else None

        def store(writer: BundleWriter, block: Any) -> Operation | None:
            parent = f"{service.agency.code}/{service.code}"
            row = writer.operation("", block, service, parent, set(), is_new=there is None)
            return Operation(pk=row.pk, service=service, code=row.code) if row is not None else None

        line = place(
            self.ledger, self.writer, OldTable.OPERATIONS, old.id, there, values, ("code", "kind"), said, store
        )
        if line.ref is None:
            return
        known = self.ledger.before(OldTable.OPERATIONS, old.id) is None or (there is not None and there.pk == line.ref)
        if not known and not Operation.objects.filter(pk=line.ref).exists():
            return  # an earlier run made it, and somebody has deleted it since
        operation = Operation(pk=line.ref, service=service, code=line.code)
        self.taken[old.id] = operation
        self._here[service.pk, operation.code.lower()] = operation.pk, operation.code

    def _values(
        self,
        definition: DataDefinition | ProxyDefinition | ProgramDefinition,
        agency: Agency,
        code: str,
        legacy_name: str,
        said: list[Remark],
    ) -> dict[str, Any] | None:
        """Return an operation as a bundle has it; None if what it shares with others cannot be stored."""
        if isinstance(definition, ProxyDefinition):
            self.ledger.hosts[host_of(definition.upstream.url) if definition.upstream is not None else ""] += 1
            backend = self._backend(agency, definition.upstream) if definition.upstream is not None else ""
            if definition.upstream is not None and not backend:
                said.append(remark(Kind.BACKEND_REFUSED))
                return None
            references = {name: self.writer.secret(value) for name, value in definition.secrets().items()}
            return definition.bundle(code, backend, legacy_name, references)
        if isinstance(definition, ProgramDefinition):
            source = self._programs(agency)
            return definition.bundle(code, source, legacy_name) if source else None
        self.ledger.hosts[definition.connection.host.lower()] += 1
        source = self._source(agency, definition.connection)
        if not source:
            said.append(remark(Kind.SOURCE_REFUSED))
            return None
        return definition.bundle(code, source, legacy_name)

    # ------------------------------------------------------------------------------------ shared

    def _source(self, agency: Agency, connection: Connection) -> str:
        """Return the code of the agency's source with this connection, made if there is none; "" if it is refused."""
        known = self._shared.get((agency.pk, connection))
        if known is not None:
            return known
        there = DataSource.objects.filter(
            agency=agency, engine=connection.engine, host=connection.host, port=connection.port,
            database=connection.database, user=connection.user,
        )  # fmt: skip
        code = next((row.code for row in there if str(row.password or "") == connection.password), "")
        if not code:
            taken = DataSource.objects.filter(agency=agency).values_list("code", flat=True)
            code = code_of(connection.database or connection.host or connection.engine, list(taken))
            piece = connection.bundle(agency.code, code, self.writer.secret(connection.password))
            if self._breaks(BundleWriter.source, piece):
                code = ""
        self._shared[agency.pk, connection] = code
        return code

    def _breaks(self, store: Callable[[BundleWriter, str, Any], None], piece: Mapping[str, Any]) -> bool:
        """Store a source or a backend. Return True if it breaks a rule."""
        broken, _nothing = self.writer.write(lambda writer, block: store(writer, "", block), piece)
        return bool(broken)

    def _programs(self, agency: Agency) -> str:
        """Return the code of the source of the agency's drafts of programs; "" if it cannot be stored."""
        known = self._shared.get((agency.pk, _PROGRAMS))
        if known is None:
            known = _PROGRAMS
            if not DataSource.objects.filter(agency=agency, code=_PROGRAMS).exists():
                piece = placeholder_source(agency.code, _PROGRAMS)
                if self._breaks(BundleWriter.source, piece):
                    known = ""
            self._shared[agency.pk, _PROGRAMS] = known
        return known

    def _backend(self, agency: Agency, upstream: Upstream) -> str:
        """Return the code of the agency's backend for an upstream, made if there is none; "" if it is refused."""
        known = self._shared.get((agency.pk, upstream))
        if known is not None:
            return known
        there = Backend.objects.filter(
            agency=agency, credential_kind=upstream.credential_kind, servers__url=upstream.url
        ).prefetch_related("servers")
        code = next((row.code for row in there if len(row.servers.all()) == 1
                     and str(row.credential or "") == upstream.credential), "")  # fmt: skip
        if not code:
            taken = Backend.objects.filter(agency=agency).values_list("code", flat=True)
            code = code_of(upstream.url.partition("://")[2].partition("/")[0], list(taken))
            piece = upstream.bundle(agency.code, code, self.writer.secret(upstream.credential))
            if self._breaks(BundleWriter.backend, piece):
                code = ""
        self._shared[agency.pk, upstream] = code
        return code

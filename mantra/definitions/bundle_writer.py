"""The rows of the registry as a bundle defines them, and the changes that this makes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from dataservices.models import DataOperation, DataSource
from dataservices.plan import parameters_message
from mantra.definitions import reading, schema
from mantra.definitions.bundle_reader import BundleReader
from mantra.definitions.reading import Block
from mantra.definitions.report import CHANGED, CREATED, Change, Report, change_lines, list_lines, path_of
from mantra.definitions.schema import FieldSpec, Schema
from mantra.verification.models import VerificationOperation, VerifiedField, declare, inconsistencies
from proxyservices.importing.drafts import NameAllocator
from proxyservices.models import (
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServiceDescription,
    mappings_to_reenter,
    undeclared_message,
)
from proxyservices.models.operations import SOAP_STYLES
from registry import approvals, certificates, requests, secrets, versions
from registry.child_rows import Replacement, identity, replacement
from registry.models import (
    AccessKey,
    Agency,
    Application,
    ClientCertificate,
    Field,
    Grant,
    Operation,
    OperationVersion,
    Parameter,
    RegistryModel,
    Service,
)
from registry.models.changes import keep, read_once
from registry.secret_rules import ENTER_AGAIN

#: Key of a list in an operation or a backend → model of its rows, their schema, the keys that identify a row.
_LISTS: dict[str, tuple[type[RegistryModel], Schema, tuple[str, ...]]] = {
    "parameters": (Parameter, schema.PARAMETER, ("name",)),
    "fields": (Field, schema.FIELD, ("name",)),
    "servers": (BackendServer, schema.SERVER, ("url",)),
    "mappings": (ParameterMapping, schema.MAPPING, ("name", "location")),
    "descriptions": (ServiceDescription, schema.DESCRIPTION, ("url",)),
    "verified_fields": (VerifiedField, schema.VERIFIED_FIELD, ("name",)),
}
_OPERATION_MODELS: dict[str, type[Operation]] = {
    "data": DataOperation,
    "proxy": ProxyOperation,
    "verification": VerificationOperation,
}
#: Attribute → (old value, new value).
Changes = dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class Definition:
    """A row as the bundle defines it, ready to be stored."""

    path: str
    spec: Schema
    name: str
    row: Model
    #: Attribute → value, as read from the file.
    values: dict[str, Any]
    #: References that have been set on the row already.
    references: Changes = field(default_factory=dict)
    #: Lists of an operation that the file replaces.
    lists: dict[str, Replacement] = field(default_factory=dict)


class BundleWriter:
    """Writes a bundle into the registry. The caller opens the transaction, and rolls it back after problems."""

    def __init__(self, reader: BundleReader, report: Report, reason: str = "") -> None:
        self.reader = reader
        self.report = report
        #: Of the versions that this makes.
        self.reason = reason
        #: (noun, name) of definitions that could not be stored. References to them are no further problems.
        self.failed: set[tuple[str, str]] = set()
        #: The arguments of operation() for verifications, which wait until the operations with their data are stored.
        self.verifications: list[tuple[str, Any, Service | None, str, set[str]]] = []

    def write(self, bundle: Block) -> None:
        self.agencies(list(self.reader.items(bundle, "agencies")))
        for path, item in self.reader.items(bundle, "sources"):
            self.source(path, item)
        for path, item in self.reader.items(bundle, "backends"):
            self.backend(path, item)
        for path, item in self.reader.items(bundle, "services"):
            self.service(path, item)
        for waiting in self.verifications:
            self.operation(*waiting)
        for path, item in self.reader.items(bundle, "applications"):
            self.application(path, item)

    # ----------------------------------------------------------------------------- one row

    def store(self, definition: Definition) -> bool:
        """Validate and save a row if it is new or changed, and report it. Return True if the row is in the database."""
        row, spec = definition.row, definition.spec
        new = row.pk is None
        changes = dict(definition.references)
        by_name = {key.name: key for key in spec.keys}
        for attribute, value in definition.values.items():
            old = getattr(row, attribute)
            if new or not by_name[attribute].is_same(old, value):
                changes[attribute] = (old, value)
            elif not by_name[attribute].secret:
                continue
            # A secret that the file gives is no longer a stored one, though it be the same (secret_rules.py).
            setattr(row, attribute, value)
        changed_lists = {label: rows for label, rows in definition.lists.items() if rows}
        missing = _missing_references(row)
        valid = self.is_valid(definition.path, row, spec, exclude=missing) and not missing
        saved = not (new or changes or changed_lists) or self.save(row, definition.path, valid)
        if not saved:
            self.failed.add((spec.noun, definition.name))
        elif new:
            self.report.changes.append(Change(CREATED, spec.noun, definition.name))
        elif changes or changed_lists:
            details = [
                line for label, change in changes.items() for line in change_lines(label, *change, by_name.get(label))
            ]
            details += [
                line for label, rows in changed_lists.items() for line in list_lines(label, rows, _list_keys(label))
            ]
            self.report.changes.append(Change(CHANGED, spec.noun, definition.name, tuple(details)))
        else:
            self.report.unchanged += 1
        return saved

    def is_valid(self, path: str, row: Model, spec: Schema, exclude: set[str] | None = None) -> bool:
        """Return True if the row can be saved. Each broken rule of the model is a problem at the key it concerns.

        A row that breaks a rule is saved too, so that the rest of the file can be checked against it. Only a value
        that is not among its choices prevents that: rules about the row's parts depend on it.
        """
        try:
            row.full_clean(exclude=exclude)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                key_path = path_of(path, name) if name in spec.names else path
                for message in messages:
                    self.reader.problem(key_path, message)
            return not any(row._meta.get_field(name).choices for name in error.message_dict if name in spec.names)  # type: ignore[union-attr]
        return True

    def save(self, row: Model, path: str, valid: bool) -> bool:
        """Save a valid row. Return True on success; a refusal by the database is a problem."""
        if not valid:
            return False
        try:
            with transaction.atomic():
                row.save()
        except (DatabaseError, ValueError, TypeError, OverflowError):
            if not any(problem.path.startswith(path) for problem in self.report.problems):
                self.reader.problem(path, _("The database does not accept it."))
            return False
        return True

    def referenced_agency(self, block: Block, path: str, name: str = "agency") -> Agency | None:
        """Return the agency that the key ``name`` refers to. None, and a problem, if there is none."""
        code = self.reader.identifier(block, path, name)
        agency = read_once("agency", code, Agency.objects.filter(code__iexact=code).first) if code else None
        if code and agency is None and ("agency", code) not in self.failed:
            self.reader.problem(path_of(path, name), _("There is no agency %(code)s.") % {"code": code})
        return agency

    # ------------------------------------------------------------------------- the top lists

    def agencies(self, items: list[tuple[str, Any]]) -> None:
        """Store the agencies, parents before their children, whatever their order in the file."""
        waiting: dict[str, tuple[str, Block]] = {}
        codes: set[str] = set()
        for path, item in items:
            block = self.reader.block(item, path, schema.AGENCY.names)
            code = self.reader.identifier(block, path, "code") if block is not None else ""
            if block is not None and code and not self.reader.is_repeated(path, "agency", code, codes):
                waiting[code] = (path, block)
        while waiting:
            ready = [code for code, (_path, block) in waiting.items() if str(block.get("parent")) not in waiting]
            for code in ready or list(waiting):
                self.agency(code, *waiting.pop(code))

    def agency(self, code: str, path: str, block: Block) -> Agency:
        row = Agency.objects.filter(code=code).first() or Agency(code=code)
        references: Changes = {}
        if "parent" in block:
            parent = None
            if not reading.is_null(block["parent"]) and block["parent"] != "":
                parent = self.referenced_agency(block, path, "parent")
            if (parent and parent.pk) != row.parent_id:
                references["parent"] = (row.parent and row.parent.code, parent and parent.code)
                row.parent = parent
        values = self.reader.values(block, path, schema.AGENCY.keys)
        self.store(Definition(path, schema.AGENCY, code, row, values, references))
        return row

    def source(self, path: str, item: Any) -> None:
        block = self.reader.block(item, path, schema.SOURCE.names)
        if block is None:
            return
        agency, code = self.referenced_agency(block, path), self.reader.identifier(block, path, "code")
        values = self.reader.values(block, path, schema.SOURCE.keys)
        name = f"{block.get('agency')}/{code}"
        if agency is None or not code:
            self.failed.add((schema.SOURCE.noun, name))
            return
        row = DataSource.objects.filter(agency=agency, code=code).first() or DataSource(agency=agency, code=code)
        self.store(Definition(path, schema.SOURCE, name, row, values))

    def backend(self, path: str, item: Any) -> None:
        block = self.reader.block(item, path, schema.BACKEND.names)
        if block is None:
            return
        agency, code = self.referenced_agency(block, path), self.reader.identifier(block, path, "code")
        values = self.reader.values(block, path, schema.BACKEND.keys)
        name = f"{block.get('agency')}/{code}"
        if agency is None or not code:
            self.failed.add((schema.BACKEND.noun, name))
            return
        row = Backend.objects.filter(agency=agency, code=code).first() or Backend(agency=agency, code=code)
        planned = copy(row)
        for attribute, value in values.items():  # the servers are checked with the credential that the file gives
            setattr(planned, attribute, value)
        lists = {"servers": self.replacement_of(planned, block, path, "servers")} if "servers" in block else {}
        self.store_backend(Definition(path, schema.BACKEND, name, row, values, lists=lists))

    def store_backend(self, definition: Definition) -> bool:
        """Store a backend with its servers. Return True if it is in the database."""
        if not self.store(definition):
            return False
        for rows in definition.lists.values():
            for server in rows.rows:
                server.backend = definition.row
            rows.save()
        return True

    def service(self, path: str, item: Any) -> Service | None:
        """Store a service with its operations, and return its row."""
        block = self.reader.block(item, path, schema.SERVICE.names)
        if block is None:
            return None
        agency, code = self.referenced_agency(block, path), self.reader.identifier(block, path, "code")
        values = self.reader.values(block, path, schema.SERVICE.keys)
        service = None
        if agency is not None and code:
            service = Service.objects.filter(agency=agency, code=code).first() or Service(agency=agency, code=code)
            self.store(Definition(path, schema.SERVICE, f"{agency.code}/{code}", service, values))
        codes: set[str] = set()
        for operation_path, operation in self.reader.items(block, "operations", path):
            described = (operation_path, operation, service, f"{block.get('agency')}/{code}", codes)
            if isinstance(operation, Block) and operation.get("kind") == Operation.Kind.VERIFICATION:
                self.verifications.append(described)
            else:
                self.operation(*described)
        return service

    def application(self, path: str, item: Any) -> None:
        block = self.reader.block(item, path, schema.APPLICATION.names)
        if block is None:
            return
        agency, code = self.referenced_agency(block, path), self.reader.identifier(block, path, "code")
        values = self.reader.values(block, path, schema.APPLICATION.keys)
        row: Application | None = None
        if agency is not None and code:
            row = Application.objects.filter(agency=agency, code=code).first() or Application(agency=agency, code=code)
            if not self.store(Definition(path, schema.APPLICATION, f"{agency.code}/{code}", row, values)):
                row = None
        for key_path, key in self.reader.items(block, "keys", path):
            self.legacy_key(key_path, key, row)
        thumbprints: set[str] = set()
        for certificate_path, certificate in self.reader.items(block, "certificates", path):
            self.certificate(certificate_path, certificate, row, thumbprints)
        operations: set[str] = set()
        for grant_path, grant in self.reader.items(block, "grants", path):
            self.grant(grant_path, grant, row, operations)

    # ------------------------------------------------------------------------------ operations

    def operation(
        self,
        path: str,
        item: Any,
        service: Service | None,
        parent: str,
        codes: set[str],
        is_new: bool = False,
    ) -> Operation | None:
        """Store an operation of a service, and return its row; None if it is not in the database.

        ``parent`` is agency/service, ``codes`` the operations read before. ``is_new``: the service has none with its
        code.
        """
        if not isinstance(item, Block):
            self.reader.block(item, path, ())
            return None
        code = self.reader.identifier(item, path, "code")
        name = f"{parent}/{code}"
        stored = None
        if service is not None and service.pk and code and not is_new:
            stored = Operation.objects.listed().filter(service=service, code=code).first()
        kind = self.reader.operation_kind(item, path, None if stored is None else stored.kind)
        if kind is None or (code and self.reader.is_repeated(path, "operation", code, codes)):
            self.failed.add(("operation", name))
            return None
        spec = schema.OPERATIONS[kind]
        self.reader.block(item, path, spec.names)
        model = _OPERATION_MODELS[kind]
        row = model._default_manager.get(pk=stored.pk) if stored is not None else model(code=code, kind=kind)
        if service is not None and service.pk:
            row.service = service
        values = self.reader.values(item, path, spec.keys)
        references = self.set_source(row, item, path) if isinstance(row, DataOperation) else {}
        if isinstance(row, ProxyOperation):
            references = self.set_backend(row, item, path)
        if isinstance(row, VerificationOperation):
            references = self.set_base(row, item, path)
        lists = {label: self.replacement_of(row, item, path, label) for label in _LISTS
                 if label in item and label in spec.other_keys}  # fmt: skip
        if isinstance(row, DataOperation) and row.source_id:
            self.check_placeholders(row, values, lists, path)
        if isinstance(row, ProxyOperation):
            self.check_mappings(row, values, lists, path)
        sql_before = row.sql if isinstance(row, DataOperation) else ""
        made = None
        if stored is None and "parameters" in lists:  # its rows are those of the file
            made = {label: lists[label].rows if label in lists else [] for label in versions.kind_of(row).all_lists}
            # Its first version follows at once (record).
            row.revision = 0 if values.get("state", row.state) == Operation.State.DRAFT else 1
        if self.store(Definition(path, spec, name, row, values, references, lists)):
            for rows in lists.values():
                rows.save()
            if isinstance(row, DataOperation | ProxyOperation) and "parameters" not in lists:
                self.declare_missing(row, name)
            if isinstance(row, DataOperation) and row.sql != sql_before and "parameters" not in lists:
                row.relax_optional()
            if isinstance(row, VerificationOperation):
                self.declare(row, path)
            self.record(row, path, stored is None or not stored.is_callable, made)
            return row
        self.failed.add(("operation", name))
        return None

    def declare(self, row: VerificationOperation, path: str) -> None:
        """Declare the parameters and fields of a verification. What does not go together is a problem."""
        declare(row)
        for message in inconsistencies(row):
            self.reader.problem(path, message)

    def declare_missing(self, row: DataOperation | ProxyOperation, name: str) -> None:
        """Declare what the SQL or the path needs, as the admin's form does, and report it."""
        for parameter in row.declare_missing():
            self.report.changes.append(Change(CREATED, schema.PARAMETER.noun, f"{name}/{parameter}"))

    def record(self, row: Operation, path: str, was_draft: bool, made: Mapping[str, list[Any]] | None = None) -> None:
        """Make a version of a stored operation if it differs from the last one. A refusal is a problem.

        ``made``: of a new operation the rows of all its lists. It has its first revision already.
        """
        try:
            versions.record(row, None, self.reason, OperationVersion.Origin.BUNDLE, was_draft, made=made)
        except ValidationError as error:
            hint = f" {_('Give it with --reason.')}" if isinstance(error, approvals.ReasonNeeded) else ""
            for message in error.messages:
                self.reader.problem(path, message + hint)

    def set_source(self, row: DataOperation, block: Block, path: str) -> Changes:
        """Set the source that the file names: a code of the same agency, or agency/code. Return the change."""
        if "source" not in block and row.pk:
            return {}
        name = self.reader.identifier(block, path, "source")
        agency, _slash, code = name.rpartition("/")
        if not agency and row.service_id:
            agency = row.service.agency.code

        def find() -> DataSource | None:
            return DataSource.objects.select_related("agency").filter(agency__code=agency, code=code).first()

        source = read_once("source", (agency, code), find) if name else None
        if source is None:
            if name and row.service_id and (schema.SOURCE.noun, f"{agency}/{code}") not in self.failed:
                self.reader.problem(path_of(path, "source"), _("There is no source %(name)s.") % {"name": name})
            return {}
        if source.pk == row.source_id:
            return {}
        old = str(row.source) if row.source_id else ""
        row.source = source
        return {"source": (old, str(source))}

    def set_base(self, row: VerificationOperation, block: Block, path: str) -> Changes:
        """Set the operation with the data that the file names (agency/service/operation). Return the change."""
        if "base" not in block and row.pk:
            return {}
        base = self.referenced_operation(block, path, "base")
        if base is None or base.pk == row.base_id:
            return {}
        old = str(row.base) if row.base_id else ""
        row.base = base
        return {"base": (old, str(base))}

    def set_backend(self, row: ProxyOperation, block: Block, path: str) -> Changes:
        """Set the backend that the file names: a code of the same agency, or agency/code. Return the change."""
        if "upstreams" in block and row.service_id:
            return self.set_described_backend(row, block, path)
        if "backend" not in block or not row.service_id:
            return {}
        name = self.reader.identifier(block, path, "backend", required=False)
        agency, _slash, code = name.rpartition("/")
        agency = agency or row.service.agency.code

        def find() -> Backend | None:
            return Backend.objects.select_related("agency").filter(agency__code=agency, code=code).first()

        backend = read_once("backend", (agency, code), find) if name else None
        if name and backend is None:
            if (schema.BACKEND.noun, f"{agency}/{code}") not in self.failed:
                self.reader.problem(path_of(path, "backend"), _("There is no backend %(name)s.") % {"name": name})
            return {}
        return changed_backend(row, backend)

    def set_described_backend(self, row: ProxyOperation, block: Block, path: str) -> Changes:
        """Set the backend that the list ``upstreams`` describes: bundles from before there were backends have one.

        It is the operation's own. One that other operations use too is not changed in this way.
        """
        path = path_of(path, "upstreams")
        if "backend" in block:
            self.reader.problem(path, _("Write backend or upstreams, not both."))
            return {}
        described = self.described(row, block, path)
        if not described:
            return {}
        settings, wanted, paths = described
        shared = row.backend is not None and row.backend.operations.filter(draft_of=None).exclude(pk=row.pk).exists()
        if shared and not self.is_as_described(row.backend, settings, wanted):
            message = _(
                "Other operations use the backend too. Write backend: %(code)s here, and its servers in backends."
            )
            self.reader.problem(path, message % {"code": row.backend.code if row.backend else ""})
        if shared:
            return {}
        backend = row.backend or Backend(agency=row.service.agency, code=_free_code(row))
        planned = copy(backend)
        for attribute, value in settings.items():
            setattr(planned, attribute, value)
        rows = self.replaced("servers", planned, wanted)
        self.check_rows("servers", planned, rows, paths, path)
        name = f"{row.service.agency.code}/{backend.code}"
        definition = Definition(paths[0], schema.BACKEND, name, backend, settings, lists={"servers": rows})
        return changed_backend(row, backend) if self.store_backend(definition) else {}

    def described(
        self, row: ProxyOperation, block: Block, path: str
    ) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]] | None:
        """Return the settings of a backend, the values of its servers, and the places of these in the file.

        The first server's settings become the backend's, those that differ from them a server's own.
        """
        listed, paths = [], []
        for row_path, item in self.reader.items(block, "upstreams", path.rpartition(".")[0]):
            row_block = self.reader.block(item, row_path, schema.UPSTREAM.names)
            if row_block is not None and self.reader.identifier(row_block, row_path, "url"):
                values = self.reader.values(row_block, row_path, schema.UPSTREAM.keys)
                style = str(block.get("style", row.style))
                if style in SOAP_STYLES and "?" not in values.get("url", ""):
                    values["probe_path"] = values.get("probe_path") or "?wsdl"
                listed.append(values)
                paths.append(row_path)
        if not listed or any("url" not in values for values in listed):
            return None
        names = {key.name for key in schema.SETTINGS}
        settings = [{name: value for name, value in values.items() if name in names} for values in listed]
        wanted = []
        for values, own in zip(listed, settings, strict=True):
            server = {name: value for name, value in values.items() if name not in names}
            wanted.append(server if own == settings[0] else {**server, "own_settings": True, **own})
        empty = Backend()
        defaults = {key.name: getattr(empty, key.name) for key in schema.SETTINGS if not key.secret}
        return {**defaults, **settings[0]}, wanted, paths

    def is_as_described(self, backend: Backend | None, settings: dict[str, Any], wanted: list[dict[str, Any]]) -> bool:
        """Return True if a backend has these settings and servers."""
        assert backend is not None
        by_name = {key.name: key for key in schema.SETTINGS}
        same = all(by_name[name].is_same(getattr(backend, name), value) for name, value in settings.items())
        return same and not self.replaced("servers", backend, wanted)

    def check_placeholders(
        self, row: DataOperation, values: dict[str, Any], lists: dict[str, Replacement], path: str
    ) -> None:
        """Check that the placeholders of the new SQL and the parameters agree."""
        planned = DataOperation(
            source=row.source,
            sql=values.get("sql", row.sql),
            page_size=values.get("page_size", row.page_size) or 0,
            change_marker=values.get("change_marker", row.change_marker) or "",
        )
        listed = "parameters" in lists
        parameters = lists["parameters"].rows if listed else list(row.parameters.all()) if row.pk else []
        names = [parameter.name for parameter in parameters]
        # Without a list, what the SQL newly needs is declared on saving.
        message = parameters_message(planned, names, removed=None if listed else ())
        if message:
            self.reader.problem(path_of(path, "sql"), message)

    def replacement_of(self, owner: RegistryModel, block: Block, path: str, label: str) -> Replacement:
        """Return the replacement of one list of an operation or a backend. Its rows are validated, not saved."""
        model, spec, key = _LISTS[label]
        wanted, paths = [], []
        names: set[str] = set()
        for row_path, item in self.reader.items(block, label, path):
            row_block = self.reader.block(item, row_path, spec.names)
            if row_block is None or not self.reader.identifier(row_block, row_path, key[0]):
                continue
            values = self.reader.values(row_block, row_path, spec.keys)
            if key[0] not in values or not self.reader.resolve_constants(values, row_path, spec):
                continue
            if not self.reader.is_repeated(row_path, spec.noun, " ".join(identity(model, key, values)), names):
                wanted.append(values)
                paths.append(row_path)
        rows = self.replaced(label, owner, wanted)
        self.check_rows(label, owner, rows, paths, path_of(path, label))
        return rows

    def replaced(self, label: str, owner: RegistryModel, wanted: list[dict[str, Any]]) -> Replacement:
        """Return the replacement of a list by rows of these values."""
        model, _spec, key = _LISTS[label]
        by_name = _list_keys(label)
        return replacement(
            model, owner, key, wanted, list(by_name), lambda name, old, new: by_name[name].is_same(old, new),
            keep_if_absent=frozenset(name for name, field_spec in by_name.items() if field_spec.secret),
            near=BackendServer.server if model is BackendServer else None, owned_by=_owned_by(model),
        )  # fmt: skip

    def check_rows(self, label: str, owner: RegistryModel, rows: Replacement, paths: list[str], path: str) -> None:
        """Note what is wrong with a list and its rows."""
        model, spec, _key = _LISTS[label]
        for row_path, row in zip(paths, rows.rows, strict=True):
            self.is_valid(row_path, row, spec, exclude={_owned_by(model)})
        try:
            model.check_list(owner, rows.rows)
        except ValidationError as error:
            self.reader.problem(path, " ".join(error.messages))

    def check_mappings(
        self, row: ProxyOperation, values: dict[str, Any], lists: dict[str, Replacement], path: str
    ) -> None:
        """Note a secret mapping that would go to a server of a new backend, and a placeholder in the path that nothing
        fills.
        """

        def rows(label: str) -> list[Any]:
            if label in lists:
                return lists[label].rows
            return list(getattr(row, label).all()) if row.pk else []

        if row.pk and mappings_to_reenter(row, rows("mappings")):
            self.reader.problem(path_of(path, "mappings"), str(ENTER_AGAIN))
        planned = ProxyOperation(style=values.get("style", row.style), path=values.get("path", row.path))
        names = [parameter.name for parameter in rows("parameters")]
        if "parameters" in lists and (problem := undeclared_message(planned, names, rows("mappings"))):
            self.reader.problem(path_of(path, "path"), problem)

    # ----------------------------------------------------------------------- keys and grants

    def referenced_operation(self, block: Block, path: str, key: str = "operation") -> Operation | None:
        """Return the operation that a key refers to. None, and a problem, if there is none."""
        name = self.reader.identifier(block, path, key)
        if not name:
            return None
        parts = name.split("/")
        operation = None
        if len(parts) == 3:
            operation = (
                Operation.objects.listed()
                .filter(service__agency__code=parts[0], service__code=parts[1], code=parts[2])
                .first()
            )
        if operation is None and ("operation", name) not in self.failed:
            self.reader.problem(
                path_of(path, key),
                _("There is no operation %(name)s (agency/service/operation).") % {"name": name},
            )
        return operation

    def legacy_key(self, path: str, item: Any, application: Application | None) -> None:
        spec = schema.LEGACY_KEY
        block = self.reader.block(item, path, spec.names)
        if block is None:
            return
        plain, values = self.reader.legacy_key(block, path), self.reader.values(block, path, spec.keys)
        shared = block.get("operation") == schema.ALL_GRANTED
        operation = None if shared else self.referenced_operation(block, path)
        if application is None or not (operation or shared) or not plain:
            return
        row = AccessKey.objects.filter(digest__in=secrets.key_digests(plain)).first()
        name = f"{secrets.public_part(plain)} of {application} for {operation or schema.ALL_GRANTED}"
        if row is None:
            row = AccessKey.import_legacy(application, plain, operation)
            for attribute, value in values.items():
                setattr(row, attribute, value)
            if self.is_valid(path, row, spec) and self.save(row, path, valid=True):
                self.report.changes.append(Change(CREATED, spec.noun, name))
        elif row.application_id != application.pk or row.operation_id != (operation.pk if operation else None):
            self.reader.problem(path, _("The key belongs to another application or operation."))
        else:
            self.store(Definition(path, spec, name, row, values))

    def certificate(self, path: str, item: Any, application: Application | None, thumbprints: set[str]) -> None:
        """Add a client certificate to an application. One that it has stays as it is: what is revoked stays so."""
        spec = schema.CERTIFICATE
        block = self.reader.block(item, path, spec.names)
        if block is None or not self.reader.identifier(block, path, "pem"):
            return
        values = self.reader.values(block, path, spec.keys)
        if application is None or "pem" not in values:
            return
        found = certificates.load(values["pem"])
        name = found.thumbprint if found is not None else ""
        if name and self.reader.is_repeated(path, spec.noun, name, thumbprints):
            return
        stored = ClientCertificate.objects.filter(application=application, thumbprint=name).first()
        if stored is None:
            row = ClientCertificate(application=application)
            self.store(Definition(path, spec, f"{name[:16]} of {application}", row, values))
            return
        stored.pem = values["pem"]
        if self.is_valid(path, stored, spec):
            self.report.unchanged += 1

    def grant(self, path: str, item: Any, application: Application | None, operations: set[str]) -> None:
        block = self.reader.block(item, path, schema.GRANT.names)
        if block is None:
            return
        operation = self.referenced_operation(block, path)
        values = self.reader.values(block, path, schema.GRANT.keys)
        if application is None or operation is None:
            return
        if self.reader.is_repeated(path, "grant", str(operation), operations):
            return
        row = Grant.objects.filter(application=application, operation=operation).first()
        row = row or Grant(application=application, operation=operation)
        known, state, reported = row.pk is not None, row.state, len(self.report.changes)
        self.store(Definition(path, schema.GRANT, f"{application} → {operation}", row, values))
        # The first bundle of a bus may have thousands of grants: new ones send no notifications.
        if known and len(self.report.changes) > reported:
            requests.tell_of_grant(row, state)


def read_referred(agencies: Collection[int], sources: Collection[str], backends: Collection[str]) -> None:
    """Read what many operations refer to, within together(): sources and backends of agencies by their codes."""
    for source in DataSource.objects.select_related("agency").filter(agency__in=agencies, code__in=sources):
        keep("source", (source.agency.code, source.code), source)
        keep("source", source.pk, source.engine)  # as the rules of publishing ask for it
    for backend in Backend.objects.select_related("agency").filter(agency__in=agencies, code__in=backends):
        keep("backend", (backend.agency.code, backend.code), backend)


def _list_keys(label: str) -> Mapping[str, FieldSpec]:
    return {key.name: key for key in _LISTS[label][1].keys}


def _owned_by(model: type[RegistryModel]) -> str:
    """Return the reference of a list's rows to what the list belongs to."""
    return "backend" if model is BackendServer else "operation"


def _free_code(row: ProxyOperation) -> str:
    """Return a code for the backend of one operation that no other of its agency has."""
    taken = Backend.objects.filter(agency=row.service.agency).values_list("code", flat=True)
    return NameAllocator(taken).unique(re.sub(r"[^A-Za-z0-9_\-]+", "_", row.code))


def changed_backend(row: ProxyOperation, backend: Backend | None) -> Changes:
    """Set an operation's backend. Return the change."""
    if (backend is not None and backend.pk == row.backend_id) or (backend is None and row.backend_id is None):
        return {}
    old = str(row.backend) if row.backend else ""
    row.backend = backend
    return {"backend": (old, str(backend or ""))}


def _missing_references(row: Model) -> set[str]:
    """Return the required references that are not set, because the rows they refer to could not be stored."""
    return {
        column.name
        for column in row._meta.concrete_fields
        if column.is_relation and not column.null and not column.primary_key and getattr(row, column.attname) is None
    }

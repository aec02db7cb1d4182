"""Rows of the registry as JSON and back. The models' own rules decide which values are valid."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from dataservices.models import DataOperation, DataSource, UploadedTable, UploadVersion
from dataservices.plan import parameters_message
from mantra.verification.models import VerificationOperation, VerifiedField, declare, inconsistencies
from proxyservices.models import (
    Backend,
    BackendServer,
    ParameterMapping,
    ProxyOperation,
    ServiceDescription,
    mappings_to_reenter,
    undeclared_message,
)
from proxyservices.models.backends import SETTINGS
from registry import approvals, tenancy, versions
from registry.child_rows import Replacement, identity, replacement
from registry.models import (
    AccessKey,
    Agency,
    Application,
    CallRecord,
    ChangeRecord,
    ClientCertificate,
    Field,
    Grant,
    Operation,
    OperationVersion,
    Parameter,
    PublishRequest,
    RegistryModel,
    Service,
    User,
    lines_of,
    names,
    pairs,
)
from registry.models.bounds import CHANGE_NOTE
from registry.models.versions import MAX_REASON
from registry.secret_rules import ENTER_AGAIN


@extend_schema_field(OpenApiTypes.STR)
class ReferenceField(serializers.RelatedField):  # type: ignore[misc]
    """A reference by codes, as in aliases and bundles: "bkn", "bkn/simpeg", "bkn/simpeg/pegawai_by_nip".

    It finds only rows to which the user may refer. Another agency's row and a missing one give the same error.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {"unknown": _("There is no {name} that you may use.")}

    def __init__(self, *path: str, **kwargs: Any) -> None:
        self.path = path
        super().__init__(**kwargs)

    def get_queryset(self) -> Any:
        user = self.context["request"].user
        return tenancy.referable(self.parent.Meta.model, self.source, user)

    def use_pk_only_optimization(self) -> bool:
        return False

    def to_internal_value(self, data: Any) -> Model:
        parts = data.split("/") if isinstance(data, str) and "\0" not in data else []
        try:
            if len(parts) == len(self.path):
                row: Model = self.get_queryset().get(**dict(zip(self.path, parts, strict=True)))
                return row
        except ObjectDoesNotExist:
            pass
        self.fail("unknown", name=data if isinstance(data, str) else "…")
        raise AssertionError

    def to_representation(self, value: Model) -> str:
        return "/".join(str(_follow(value, path)) for path in self.path)


def _follow(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = getattr(row, step)
    return row


def agency(**kwargs: Any) -> ReferenceField:
    return ReferenceField("code", **kwargs)


def of_agency(**kwargs: Any) -> ReferenceField:
    return ReferenceField("agency__code", "code", **kwargs)


def operation(**kwargs: Any) -> ReferenceField:
    return ReferenceField("service__agency__code", "service__code", "code", **kwargs)


class NameListField(serializers.ListField):  # type: ignore[misc]
    """A list of names that the model stores as text, one per line."""

    child = serializers.CharField()
    parts: Callable[[str], list[str]] = staticmethod(names)

    def to_internal_value(self, data: Any) -> Any:
        return "\n".join(super().to_internal_value(data))

    def to_representation(self, data: str) -> list[str]:
        return self.parts(data)


class LineListField(NameListField):
    """A list like NameListField with items that may contain spaces."""

    parts = staticmethod(lambda text: [line.strip() for line in text.splitlines() if line.strip()])


class PairsField(serializers.DictField):  # type: ignore[misc]
    """Names and values that the model stores as text, one pair per line."""

    child = serializers.CharField()

    def to_internal_value(self, data: Any) -> Any:
        try:
            return lines_of(super().to_internal_value(data))
        except ValueError:
            text = _("Write each name and its value on one line, without = in names.")
            raise serializers.ValidationError(text) from None

    def to_representation(self, data: str) -> dict[str, str]:
        return pairs(data)


def _error_details(error: DjangoValidationError, known: Any) -> dict[str, Any]:
    """Return a model's errors by the names of the serializer's fields; others as non_field_errors."""
    details: dict[str, Any] = {}
    for name, messages in error.message_dict.items():
        details.setdefault(name if name in known else "non_field_errors", []).extend(messages)
    return details


class RegistrySerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """One row, validated by its model as in the admin and in bundles."""

    #: References that cannot be changed after the row is created.
    immutable_after_create: tuple[str, ...] = ()
    #: Fields that are lists of rows.
    nested: tuple[str, ...] = ()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in self.immutable_after_create:
            if self.instance is not None and name in attrs and attrs[name] != getattr(self.instance, name):
                raise serializers.ValidationError({name: _("This value cannot be changed after creation.")})
        self.candidate = copy.copy(self.instance) if self.instance is not None else self.Meta.model()
        for name, value in attrs.items():
            if name not in self.nested:
                setattr(self.candidate, name, value)
        self.prepare(self.candidate)
        # Before the model's rules, which tell of other rows: another agency's must not be found out by them.
        if not tenancy.may_change(self.context["request"].user, self.candidate):
            raise PermissionDenied
        try:
            self.candidate.full_clean()
        except DjangoValidationError as error:
            raise serializers.ValidationError(_error_details(error, self.fields)) from None
        return attrs

    def prepare(self, row: Any) -> None:
        """Set the attributes that the model's rules need and that are not fields of the serializer."""

    def create(self, validated_data: dict[str, Any]) -> Any:
        self.candidate.save()
        return self.candidate

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        self.candidate.save()
        return self.candidate


class AgencySerializer(RegistrySerializer):
    parent = agency(required=False, allow_null=True)

    class Meta:
        model = Agency
        fields = ("id", "code", "name", "website", "email", "legacy_name", "parent")
        validators: ClassVar[list[Any]] = []


class UserSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    agency = agency(read_only=True, allow_null=True)
    roles = serializers.SlugRelatedField("name", source="groups", many=True, read_only=True)

    class Meta:
        model = User
        fields = ("id", "username", "first_name", "last_name", "email", "agency", "roles", "is_active", "last_login")


class SourceSerializer(RegistrySerializer):
    agency = agency()
    options = serializers.DictField(required=False)

    class Meta:
        model = DataSource
        fields = (
            "id", "agency", "code", "engine", "host", "port", "database", "user", "password", "wallet_password",
            "options", "pool_size",
        )  # fmt: skip
        extra_kwargs: ClassVar[dict[str, Any]] = {
            name: {"write_only": True, "trim_whitespace": False} for name in ("password", "wallet_password")
        }
        validators: ClassVar[list[Any]] = []


class UploadVersionSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = UploadVersion
        fields = ("number", "file_name", "sha256", "size", "rows", "user", "created_at", "note")
        read_only_fields = fields


class UploadedColumnSerializer(serializers.Serializer):  # type: ignore[misc]
    """A column of an uploaded table; ``type`` is the bus's name of its type."""

    name = serializers.CharField(read_only=True)
    header = serializers.CharField(read_only=True)
    type = serializers.CharField(read_only=True)


class UploadedTableSerializer(RegistrySerializer):
    """A table that was made from an uploaded file. ``version`` is the number of its current version."""

    source = of_agency(read_only=True)
    columns = UploadedColumnSerializer(source="stored_columns", many=True, read_only=True)
    version = serializers.IntegerField(source="current.number", read_only=True)
    rows = serializers.IntegerField(source="current.rows", read_only=True)
    versions = UploadVersionSerializer(many=True, read_only=True)

    class Meta:
        model = UploadedTable
        fields = ("id", "source", "name", "title", "columns", "version", "rows", "versions")
        read_only_fields = ("name",)
        validators: ClassVar[list[Any]] = []


class FileSerializer(serializers.Serializer):  # type: ignore[misc]
    """A file that replaces the content of a table; ``sheet`` is a sheet's name, by default the first one's."""

    file = serializers.FileField()
    sheet = serializers.CharField(required=False, max_length=200)
    note = serializers.CharField(required=False, max_length=500)


class UploadSerializer(FileSerializer):
    """A file that becomes a table of an agency. Without ``name`` the name is made from the title."""

    agency = agency()
    title = serializers.CharField(max_length=200)
    name = serializers.CharField(required=False, max_length=63)

    class Meta:
        model = DataSource


class VersionNumberSerializer(serializers.Serializer):  # type: ignore[misc]
    """The number of a version."""

    version = serializers.IntegerField(min_value=1)


class ServiceSerializer(RegistrySerializer):
    agency = agency()

    class Meta:
        model = Service
        fields = (
            "id", "agency", "code", "title", "description", "tags", "classification", "contact", "legacy_name",
        )  # fmt: skip
        validators: ClassVar[list[Any]] = []


class ApplicationSerializer(RegistrySerializer):
    agency = agency()

    class Meta:
        model = Application
        fields = (
            "id", "agency", "code", "title", "contact", "active", "row_limit", "subject_limit", "certificate_required",
            "signing_required",
        )  # fmt: skip
        validators: ClassVar[list[Any]] = []


# ------------------------------------------------------------------------------------- operations


class ParameterSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    choices = LineListField(required=False)

    class Meta:
        model = Parameter
        fields = (
            "name", "type", "required", "default", "pattern", "min", "max", "choices", "subject", "description",
            "legacy_name",
        )  # fmt: skip
        validators: ClassVar[list[Any]] = []


class FieldSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Field
        fields = ("name", "type", "description", "classification", "mask")
        validators: ClassVar[list[Any]] = []


#: Secrets of a backend and of its servers are written and never returned.
_SECRETS: dict[str, Any] = {
    name: {"write_only": True, "trim_whitespace": False} for name in ("credential", "client_certificate")
}


class ServerSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = BackendServer
        fields = ("url", "priority", "weight", "active", "own_settings", *SETTINGS)
        extra_kwargs = _SECRETS
        validators: ClassVar[list[Any]] = []

    def to_representation(self, instance: BackendServer) -> dict[str, Any]:
        representation: dict[str, Any] = super().to_representation(instance)
        if not instance.own_settings:
            representation = {name: value for name, value in representation.items() if name not in SETTINGS}
        return representation


class MappingSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = ParameterMapping
        fields = ("location", "name", "parameter", "value", "secret")
        extra_kwargs: ClassVar[dict[str, Any]] = {"value": {"trim_whitespace": False}}
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # An absent value is kept only if it is a secret: the author of the list may not know it.
        return attrs if attrs.get("secret") else {"value": "", **attrs}

    def to_representation(self, instance: ParameterMapping) -> dict[str, Any]:
        representation: dict[str, Any] = super().to_representation(instance)
        if instance.secret:
            del representation["value"]
        return representation


class DescriptionSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = ServiceDescription
        fields = ("url", "main", "content")
        # It may be large, and only the bus uses it: it can be written and is not returned.
        extra_kwargs: ClassVar[dict[str, Any]] = {"content": {"write_only": True, "required": False}}
        validators: ClassVar[list[Any]] = []


class VerifiedFieldSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = VerifiedField
        fields = ("name", "column", "rule", "threshold", "description")
        validators: ClassVar[list[Any]] = []


#: Field → model of the list's rows, the columns that identify a row, columns that keep their value if absent.
_LISTS: dict[str, tuple[type[RegistryModel], tuple[str, ...], frozenset[str]]] = {
    "parameters": (Parameter, ("name",), frozenset()),
    "fields": (Field, ("name",), frozenset({"mask"})),
    "servers": (BackendServer, ("url",), frozenset({"credential", "client_certificate"})),
    "mappings": (ParameterMapping, ("location", "name"), frozenset({"value"})),
    "descriptions": (ServiceDescription, ("url",), frozenset({"content"})),
    "verified_fields": (VerifiedField, ("name",), frozenset()),
}


class ListsSerializer(RegistrySerializer):
    """A row with its lists. A list in the request replaces the stored one; absent lists stay unchanged."""

    #: The reference of the lists' rows to the row.
    owned_by: ClassVar[str]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        self.version_reason: str = attrs.pop("reason", "")
        self.version_note: str = attrs.pop("change_note", "")
        super().validate(attrs)
        self.lists: dict[str, Replacement] = {
            label: self._replacement(label, attrs[label]) for label in self.nested if label in attrs
        }
        return attrs

    def _replacement(self, label: str, wanted: list[dict[str, Any]]) -> Replacement:
        model, key, keep_if_absent = _LISTS[label]
        lower = [" ".join(identity(model, key, item)).lower() for item in wanted]
        if len(set(lower)) < len(lower):
            raise serializers.ValidationError({label: _("A name occurs more than once.")})
        attributes = list(self.get_fields()[label].child.get_fields())
        near = BackendServer.server if model is BackendServer else None
        rows = replacement(
            model, self.candidate, key, wanted, attributes, keep_if_absent=keep_if_absent, near=near,
            owned_by=self.owned_by,
        )  # fmt: skip
        try:
            model.check_list(self.candidate, rows.rows)
        except DjangoValidationError as error:
            raise serializers.ValidationError({label: error.messages}) from None
        problems: list[dict[str, Any]] = [{} for _row in rows.rows]
        for index, row in enumerate(rows.rows):
            try:
                row.full_clean(exclude={self.owned_by})
            except DjangoValidationError as error:
                problems[index] = _error_details(error, attributes)
        if any(problems):
            raise serializers.ValidationError({label: problems})
        return rows

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self._store()

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        return self._store()

    def _store(self) -> Any:
        was_draft = self.is_draft()
        with transaction.atomic():
            # The operation is saved even if only a list has changed: that tells when it was changed.
            self.candidate.save()
            for rows in self.lists.values():
                rows.save()
            self.complete()
            self.record(was_draft)
        return self.Meta.model.objects.get(pk=self.candidate.pk)

    def is_draft(self) -> bool:
        """Return True if the stored row has no callers yet."""
        return False

    def complete(self) -> None:
        """Do what belongs to saving the row with its lists."""

    def record(self, was_draft: bool) -> None:
        """Make a version of what is in force now, of a row that has versions."""


class BackendSerializer(ListsSerializer):
    """A backend with its servers. A list of servers in the request replaces the stored one."""

    agency = agency()
    servers = ServerSerializer(many=True, required=False)
    nested = ("servers",)
    owned_by = "backend"

    class Meta:
        model = Backend
        fields = ("id", "agency", "code", "title", "contact", "max_concurrent_calls", *SETTINGS, "servers")
        extra_kwargs = _SECRETS
        validators: ClassVar[list[Any]] = []


class OperationSerializer(ListsSerializer):
    """An operation with its lists."""

    service = of_agency()
    address = serializers.SerializerMethodField(help_text="agency/service/operation")
    parameters = ParameterSerializer(many=True, required=False)
    fields = FieldSerializer(many=True, required=False)
    reason = serializers.CharField(
        required=False, allow_blank=True, write_only=True, max_length=MAX_REASON, help_text=_("For the history.")
    )
    change_note = serializers.CharField(
        required=False, allow_blank=True, write_only=True, max_length=CHANGE_NOTE, help_text=_("For callers.")
    )
    nested: tuple[str, ...] = ("parameters", "fields")
    owned_by = "operation"
    operation_kind: ClassVar[str]

    def get_address(self, row: Operation) -> str:
        return f"{row.service.agency.code}/{row.service.code}/{row.code}"

    def prepare(self, row: Operation) -> None:
        row.kind = self.operation_kind

    def is_draft(self) -> bool:
        return self.instance is None or not self.instance.is_callable

    def record(self, was_draft: bool) -> None:
        """Make a version of what is in force now. Raises ValidationError if it must not be."""
        user, origin = self.context["request"].user, OperationVersion.Origin.API
        try:
            versions.record(self.candidate, user, self.version_reason, origin, was_draft, self.version_note)
        except DjangoValidationError as error:
            raise refusal(error) from None

    def complete(self) -> None:
        """Declare what the SQL or the path needs, as the admin's form does."""
        self.candidate.declare_missing()


def refusal(error: DjangoValidationError) -> serializers.ValidationError:
    """Return why something is not published, at the field that can change it."""
    name = "reason" if isinstance(error, approvals.ReasonNeeded) else "non_field_errors"
    return serializers.ValidationError({name: error.messages})


class ReasonSerializer(serializers.Serializer):  # type: ignore[misc]
    """The reason of a step, for the history."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=MAX_REASON, default="")


class PublishSerializer(ReasonSerializer):
    """What is said about a version: the reason for the history, and a note for callers."""

    change_note = serializers.CharField(required=False, allow_blank=True, max_length=CHANGE_NOTE, default="")


class PublishRequestSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A request that a second person decides on."""

    operation = operation(read_only=True)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    decided_by = serializers.CharField(source="decided_by.username", read_only=True, default=None)

    class Meta:
        model = PublishRequest
        fields = (
            "id", "operation", "state", "requested_by", "requested_at", "reason", "change_note", "decided_by",
            "decided_at", "decision_reason",
        )  # fmt: skip


_COMMON = (
    "id",
    "kind",
    "address",
    "service",
    "code",
    "title",
    "description",
    "access",
    "state",
    "listing",
    "sunset",
    "cache_seconds",
    "guard",
    "guard_expected",
    "legacy_name",
)
_END = ("parameters", "fields", "reason", "change_note", "revision", "updated_at")


class DataOperationSerializer(OperationSerializer):
    kind = serializers.ChoiceField(choices=["data"], default="data")
    operation_kind = "data"
    source = of_agency()

    class Meta:
        model = DataOperation
        fields = (
            *_COMMON, "source", "sql", "writes", "max_rows", "timeout_ms", "page_size", "change_marker", "change_key",
            "deleted_column", "change_lag_seconds", *_END,
        )  # fmt: skip
        read_only_fields = ("revision", "updated_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {"sql": {"trim_whitespace": False}}
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        super().validate(attrs)
        row, listed = self.candidate, "parameters" in self.lists
        rows = self.lists["parameters"].rows if listed else row.parameters.all() if row.pk else ()
        names = [parameter.name for parameter in rows]
        # Without a list, what the SQL newly needs is declared on saving.
        if problem := parameters_message(row, names, removed=None if listed else ()):
            raise serializers.ValidationError({"sql": problem})
        return attrs

    def complete(self) -> None:
        super().complete()
        changed = self.instance is None or self.instance.sql != self.candidate.sql
        if changed and "parameters" not in self.lists:
            self.candidate.relax_optional()


class ProxyOperationSerializer(OperationSerializer):
    kind = serializers.ChoiceField(choices=["proxy"], default="proxy")
    operation_kind = "proxy"
    backend = of_agency(required=False, allow_null=True)
    mappings = MappingSerializer(many=True, required=False)
    descriptions = DescriptionSerializer(many=True, required=False)
    nested = ("parameters", "fields", "mappings", "descriptions")

    class Meta:
        model = ProxyOperation
        fields = (
            *_COMMON,
            "backend",
            "style",
            "method",
            "allowed_methods",
            "path",
            "forwarded_request_headers",
            "returned_response_headers",
            "forward_credentials",
            "timeout_ms",
            "connect_timeout_ms",
            "read_timeout_ms",
            "max_body_bytes",
            "max_concurrent_calls",
            "retries",
            "stale_if_error_seconds",
            "records_path",
            "ignored_paths",
            "mappings",
            "descriptions",
            *_END,
        )
        read_only_fields = ("revision", "updated_at")
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        super().validate(attrs)
        if self.candidate.pk and mappings_to_reenter(self.candidate, self._rows("mappings")):
            raise serializers.ValidationError({"mappings": ENTER_AGAIN})
        if "parameters" in self.lists and (problem := undeclared_message(self.candidate, *self._sources())):
            raise serializers.ValidationError({"path": problem})
        return attrs

    def _sources(self) -> tuple[list[str], list[Any]]:
        """Return the names of the parameters, and the mappings: what fills the placeholders in the path."""
        return [parameter.name for parameter in self._rows("parameters")], self._rows("mappings")

    def _rows(self, label: str) -> list[Any]:
        """Return the new rows of a list."""
        if label in self.lists:
            return self.lists[label].rows
        return list(getattr(self.candidate, label).all()) if self.candidate.pk else []


class VerificationOperationSerializer(OperationSerializer):
    """A verification. Its parameters and fields follow from its base and its verified fields."""

    kind = serializers.ChoiceField(choices=["verification"], default="verification")
    operation_kind = "verification"
    base = operation()
    verified_fields = VerifiedFieldSerializer(many=True, required=False)
    parameters = ParameterSerializer(many=True, read_only=True)
    fields = FieldSerializer(many=True, read_only=True)
    nested = ("verified_fields",)

    class Meta:
        model = VerificationOperation
        fields = (
            *(name for name in _COMMON if not name.startswith("guard")),
            "base",
            "min_fields",
            "hides_existence",
            "tries",
            "tries_of_all",
            "lock_minutes",
            "verified_fields",
            *_END,
        )
        read_only_fields = ("revision", "updated_at")
        validators: ClassVar[list[Any]] = []

    def complete(self) -> None:
        declare(self.candidate)
        if problems := inconsistencies(self.candidate):
            raise serializers.ValidationError({"verified_fields": problems})


class VersionSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A version of an operation, without its definition."""

    class Meta:
        model = OperationVersion
        fields: tuple[str, ...] = ("number", "published_at", "user", "reason", "change_note", "origin")


class FullVersionSerializer(VersionSerializer):
    """A version with its definition. Of a secret it says only that there is one; large texts are digests."""

    definition = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = (*VersionSerializer.Meta.fields, "definition")

    def get_definition(self, row: OperationVersion) -> dict[str, Any]:
        return versions.readable(row.definition)


class KeySerializer(RegistrySerializer):
    application = of_agency()
    operation = operation(read_only=True, allow_null=True)
    networks = NameListField(required=False)
    immutable_after_create = ("application", "kind")

    class Meta:
        model = AccessKey
        fields: tuple[str, ...] = (
            "id", "application", "public", "kind", "operation", "expires_at", "networks", "in_path", "wrapped",
            "created_at", "revoked_at", "last_used_at", "last_used_in_path_at",
        )  # fmt: skip
        read_only_fields = ("public", "created_at", "revoked_at", "last_used_at", "last_used_in_path_at")
        validators: ClassVar[list[Any]] = []


class NewKeySerializer(KeySerializer):
    """A new access key. Its plain text is in this one response; it is stored only of a key that signs, encrypted."""

    key = serializers.CharField(source="plain", read_only=True)

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "key")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # AccessKey.issue() validates the row: it needs the digest.
        self.candidate = AccessKey(application=attrs["application"])
        if not tenancy.may_change(self.context["request"].user, self.candidate):
            raise PermissionDenied
        return attrs

    def create(self, validated_data: dict[str, Any]) -> AccessKey:
        try:
            row, plain = AccessKey.issue(**validated_data)
        except DjangoValidationError as error:
            raise serializers.ValidationError(_error_details(error, self.fields)) from None
        row.plain = plain  # type: ignore[attr-defined]
        return row


class ClientCertificateSerializer(RegistrySerializer):
    application = of_agency()
    immutable_after_create = ("application", "pem")

    class Meta:
        model = ClientCertificate
        fields = ("id", "application", "pem", "subject", "thumbprint", "not_after", "created_at", "revoked_at")
        read_only_fields = ("subject", "thumbprint", "not_after", "created_at", "revoked_at")
        validators: ClassVar[list[Any]] = []


class GrantSerializer(RegistrySerializer):
    application = of_agency()
    operation = operation()
    networks = NameListField(required=False)
    masks = PairsField(required=False)
    values = PairsField(required=False)
    warnings = serializers.ListField(child=serializers.CharField(), read_only=True)
    standing = serializers.ChoiceField(choices=Grant.Standing.choices, read_only=True)
    immutable_after_create = ("application", "operation")

    class Meta:
        model = Grant
        fields = (
            "id", "application", "operation", "state", "purpose", "legal_basis", "agreement", "valid_from",
            "valid_until", "fields", "masks", "values", "quota", "row_limit", "subject_limit", "networks", "created_at",
            "warnings", "standing", "revoked_at",
        )  # fmt: skip
        read_only_fields = ("state", "created_at", "revoked_at")
        validators: ClassVar[list[Any]] = []

    fields = NameListField(required=False)


class ChangeSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = ChangeRecord
        exclude = ("segment",)


class CallSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = CallRecord
        exclude = ("operation_ref",)

    def to_representation(self, instance: CallRecord) -> Any:
        found = super().to_representation(instance)
        if not tenancy.may_see_person(self.context["request"].user, instance):
            found["user"] = ""
        if not tenancy.may_see_origin(self.context["request"].user, instance):
            found |= {"origin_kind": "", "origin_ref": None, "origin": "", "server_ref": None}
        return found

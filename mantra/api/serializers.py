"""Rows of the book as JSON and back. What may stand in a row is decided by the models' own rules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.core.exceptions import ValidationError as Breach
from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from dataservices.models import DataOperation, DataSource
from mantra.definitions.marks import undeclared
from proxyservices.models import Contract, Mapping, ProxyOperation, Upstream
from registry import tenancy
from registry.child_rows import Replacement, identity, replacement
from registry.models import (
    AccessKey,
    Agency,
    Application,
    CallRecord,
    Field,
    Grant,
    Operation,
    Parameter,
    Service,
    User,
    names,
)


@extend_schema_field(OpenApiTypes.STR)
class Named(serializers.RelatedField):  # type: ignore[misc]
    """A reference by the words of addresses and bundles: "bkn", "bkn/simpeg", "bkn/simpeg/pegawai_by_nip".

    Only what the user may refer to is found; another's row and none at all look the same.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {"unknown": _("There is no {name} here that you may use.")}

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
                found: Model = self.get_queryset().get(**dict(zip(self.path, parts, strict=True)))
                return found
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


def agency(**kwargs: Any) -> Named:
    return Named("code", **kwargs)


def of_agency(**kwargs: Any) -> Named:
    return Named("agency__code", "code", **kwargs)


def operation(**kwargs: Any) -> Named:
    return Named("service__agency__code", "service__code", "code", **kwargs)


class Words(serializers.ListField):  # type: ignore[misc]
    """A list that the model keeps as text, one on a line."""

    child = serializers.CharField()
    parts: Callable[[str], list[str]] = staticmethod(names)

    def to_internal_value(self, data: Any) -> Any:
        return "\n".join(super().to_internal_value(data))

    def to_representation(self, data: str) -> list[str]:
        return self.parts(data)


class Lines(Words):
    """The same for items that may hold spaces."""

    parts = staticmethod(lambda text: [line.strip() for line in text.splitlines() if line.strip()])


def _told(breach: Breach, known: Any) -> dict[str, Any]:
    """A model's breaches by the serializer's own names."""
    found: dict[str, Any] = {}
    for name, messages in breach.message_dict.items():
        found.setdefault(name if name in known else "non_field_errors", []).extend(messages)
    return found


class Row(serializers.ModelSerializer):  # type: ignore[misc]
    """One row. It is validated as the model says, whatever way it came in."""

    #: References that are settled when the row is made.
    settled: tuple[str, ...] = ()
    #: A secret → the columns that say where it is sent. When they change it must be given again.
    places: ClassVar[dict[str, tuple[str, ...]]] = {}
    #: Members that are lists of rows of their own.
    nested: tuple[str, ...] = ()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in self.settled:
            if self.instance is not None and name in attrs and attrs[name] != getattr(self.instance, name):
                raise serializers.ValidationError({name: _("It is settled when the row is made.")})
        self._kept_secrets(attrs)
        self.candidate = copy.copy(self.instance) if self.instance is not None else self.Meta.model()
        for name, value in attrs.items():
            if name not in self.nested:
                setattr(self.candidate, name, value)
        self.prepare(self.candidate)
        try:
            self.candidate.full_clean()
        except Breach as breach:
            raise serializers.ValidationError(_told(breach, self.fields)) from None
        return attrs

    def prepare(self, row: Any) -> None:
        """Set what the model's rules need and no caller gives."""

    def _kept_secrets(self, attrs: dict[str, Any]) -> None:
        """A stored secret does not follow to a new place: whoever may edit could have it sent to a server of theirs."""
        for secret, places in self.places.items():
            if self.instance is None or secret in attrs or not getattr(self.instance, secret):
                continue
            if any(name in attrs and attrs[name] != getattr(self.instance, name) for name in places):
                raise serializers.ValidationError({secret: _("The address has changed: give the secret again.")})

    def create(self, validated_data: dict[str, Any]) -> Any:
        self.candidate.save()
        return self.candidate

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        self.candidate.save()
        return self.candidate


class AgencySerializer(Row):
    parent = agency(required=False, allow_null=True)

    class Meta:
        model = Agency
        fields = ("id", "code", "name", "website", "email", "parent")
        validators: ClassVar[list[Any]] = []


class UserSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    agency = agency(read_only=True, allow_null=True)
    roles = serializers.SlugRelatedField("name", source="groups", many=True, read_only=True)

    class Meta:
        model = User
        fields = ("id", "username", "first_name", "last_name", "email", "agency", "roles", "is_active", "last_login")


class SourceSerializer(Row):
    agency = agency()
    options = serializers.DictField(required=False)
    places = dict.fromkeys(("password", "wallet_password"), ("engine", "host", "port"))

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


class ServiceSerializer(Row):
    agency = agency()

    class Meta:
        model = Service
        fields = ("id", "agency", "code", "title", "description", "tags", "classification", "contact")
        validators: ClassVar[list[Any]] = []


class ApplicationSerializer(Row):
    agency = agency()

    class Meta:
        model = Application
        fields = ("id", "agency", "code", "title", "contact", "active")
        validators: ClassVar[list[Any]] = []


# ------------------------------------------------------------------------------------- operations


class ParameterSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    choices = Lines(required=False)

    class Meta:
        model = Parameter
        fields = (
            "name", "type", "required", "default", "pattern", "min", "max", "choices", "subject", "description",
        )  # fmt: skip
        validators: ClassVar[list[Any]] = []


class FieldSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Field
        fields = ("name", "type", "description", "classification")
        validators: ClassVar[list[Any]] = []


class UpstreamSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Upstream
        fields = (
            "url", "position", "weight", "active", "credential_kind", "credential_name", "credential", "token_url",
            "scope", "client_certificate", "authority", "probe_seconds", "probe_method", "probe_path",
            "probe_statuses", "probe_text",
        )  # fmt: skip
        extra_kwargs: ClassVar[dict[str, Any]] = {
            name: {"write_only": True, "trim_whitespace": False} for name in ("credential", "client_certificate")
        }
        validators: ClassVar[list[Any]] = []


class MappingSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Mapping
        fields = ("place", "name", "parameter", "value", "secret")
        extra_kwargs: ClassVar[dict[str, Any]] = {"value": {"trim_whitespace": False}}
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # What is left out stays as it is only where it is a secret, which whoever writes the list may not know.
        return attrs if attrs.get("secret") else {"value": "", **attrs}

    def to_representation(self, instance: Mapping) -> dict[str, Any]:
        found: dict[str, Any] = super().to_representation(instance)
        if instance.secret:
            del found["value"]
        return found


class ContractSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = Contract
        fields = ("url", "main", "content")
        # As large as it likes, and of use to the bus alone: it goes in and is not listed.
        extra_kwargs: ClassVar[dict[str, Any]] = {"content": {"write_only": True, "required": False}}
        validators: ClassVar[list[Any]] = []


#: list → its rows' model, the columns that tell them apart, and what stays where it is not given
_LISTS: dict[str, tuple[type[Model], tuple[str, ...], frozenset[str]]] = {
    "parameters": (Parameter, ("name",), frozenset()),
    "fields": (Field, ("name",), frozenset()),
    "upstreams": (Upstream, ("url",), frozenset({"credential", "client_certificate"})),
    "mappings": (Mapping, ("place", "name"), frozenset({"value"})),
    "contracts": (Contract, ("url",), frozenset({"content"})),
}


class OperationRow(Row):
    """An operation with its lists. A list that is given replaces the stored one; the rest stays."""

    service = of_agency()
    address = serializers.SerializerMethodField(help_text="agency/service/operation")
    parameters = ParameterSerializer(many=True, required=False)
    fields = FieldSerializer(many=True, required=False)
    nested: tuple[str, ...] = ("parameters", "fields")
    kind_of_rows: ClassVar[str]

    def get_address(self, row: Operation) -> str:
        return f"{row.service.agency.code}/{row.service.code}/{row.code}"

    def prepare(self, row: Operation) -> None:
        row.kind = self.kind_of_rows

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        super().validate(attrs)
        self.lists: dict[str, Replacement] = {
            label: self._list(label, attrs[label]) for label in self.nested if label in attrs
        }
        return attrs

    def _list(self, label: str, wanted: list[dict[str, Any]]) -> Replacement:
        model, key, kept = _LISTS[label]
        lower = [" ".join(identity(model, key, item)).lower() for item in wanted]
        if len(set(lower)) < len(lower):
            raise serializers.ValidationError({label: _("A name stands here more than once.")})
        attributes = list(self.get_fields()[label].child.get_fields())
        found = replacement(model, self.candidate, key, wanted, attributes, kept=kept)
        problems: list[dict[str, Any]] = [{} for _row in found.rows]
        for index, row in enumerate(found.rows):
            try:
                row.full_clean(exclude={"operation"})
            except Breach as breach:
                problems[index] = _told(breach, attributes)
        if any(problems):
            raise serializers.ValidationError({label: problems})
        return found

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self._store()

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        return self._store()

    def _store(self) -> Any:
        # Saving the operation itself raises its revision, when only a list has changed too.
        with transaction.atomic():
            self.candidate.save()
            for found in self.lists.values():
                found.save()
        return self.Meta.model.objects.get(pk=self.candidate.pk)


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
    "sunset",
    "cache_seconds",
)
_END = ("parameters", "fields", "revision", "updated_at")


class DataOperationSerializer(OperationRow):
    kind = serializers.ChoiceField(choices=["data"], default="data")
    kind_of_rows = "data"
    source = of_agency()

    class Meta:
        model = DataOperation
        fields = (*_COMMON, "source", "sql", "writes", "row_cap", "time_cap_ms", "page_size", *_END)
        read_only_fields = ("revision", "updated_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {"sql": {"trim_whitespace": False}}
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        super().validate(attrs)
        row = self.candidate
        rows = self.lists["parameters"].rows if "parameters" in self.lists else row.parameters.all() if row.pk else ()
        problem = undeclared(row, [parameter.name for parameter in rows])
        if problem:
            raise serializers.ValidationError({"sql": problem})
        return attrs


class ProxyOperationSerializer(OperationRow):
    kind = serializers.ChoiceField(choices=["proxy"], default="proxy")
    kind_of_rows = "proxy"
    upstreams = UpstreamSerializer(many=True, required=False)
    mappings = MappingSerializer(many=True, required=False)
    contracts = ContractSerializer(many=True, required=False)
    nested = ("parameters", "fields", "upstreams", "mappings", "contracts")

    class Meta:
        model = ProxyOperation
        fields = (
            *_COMMON, "style", "method", "methods", "path", "request_headers", "response_headers", "pass_credentials",
            "time_cap_ms", "connect_cap_ms", "read_cap_ms", "size_cap", "concurrency", "retries", "stale_seconds",
            "ignored", "upstreams", "mappings", "contracts", *_END,
        )  # fmt: skip
        read_only_fields = ("revision", "updated_at")
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        super().validate(attrs)
        upstreams = self.lists.get("upstreams")
        if upstreams and self.candidate.pk:
            self._credentials(upstreams, {item["url"] for item in attrs["upstreams"] if "credential" in item})
            if upstreams.added:
                given = {(item["place"], item["name"]) for item in attrs.get("mappings", ()) if "value" in item}
                self._secret_mappings(given)
        return attrs

    def _credentials(self, upstreams: Replacement, given: set[str]) -> None:
        """A stored credential follows neither to another token server nor into another kind of header."""
        for row, change in upstreams.changed:
            moved = {"token_url", "credential_kind"} & set(change)
            if moved and row.credential and row.url not in given:
                raise serializers.ValidationError({"upstreams": _("The address has changed: give the secret again.")})

    def _secret_mappings(self, given: set[tuple[str, str]]) -> None:
        """What mappings keep secret is not sent to a new address either."""
        rows = self.lists["mappings"].rows if "mappings" in self.lists else self.candidate.mappings.all()
        if any(row.secret and row.value and (row.place, row.name) not in given for row in rows):
            raise serializers.ValidationError({"mappings": _("The address has changed: give the secret again.")})


# ----------------------------------------------------------------------------------- keys, grants


class KeySerializer(Row):
    application = of_agency()
    operation = operation(read_only=True, allow_null=True)
    networks = Words(required=False)
    settled = ("application",)

    class Meta:
        model = AccessKey
        fields: tuple[str, ...] = (
            "id", "application", "public", "operation", "expires_at", "networks", "in_path", "created_at", "revoked_at",
            "last_used_at",
        )  # fmt: skip
        read_only_fields = ("public", "created_at", "revoked_at", "last_used_at")
        validators: ClassVar[list[Any]] = []


class NewKeySerializer(KeySerializer):
    """A key that is being made: its plain text is in this one answer and nowhere else."""

    key = serializers.CharField(source="plain", read_only=True)

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "key")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # AccessKey.issue() validates: before it there is no digest.
        self.candidate = AccessKey(application=attrs["application"])
        return attrs

    def create(self, validated_data: dict[str, Any]) -> AccessKey:
        try:
            row, plain = AccessKey.issue(**validated_data)
        except Breach as breach:
            raise serializers.ValidationError(_told(breach, self.fields)) from None
        row.plain = plain  # type: ignore[attr-defined]
        return row


class GrantSerializer(Row):
    application = of_agency()
    operation = operation()
    networks = Words(required=False)
    settled = ("application", "operation")

    class Meta:
        model = Grant
        fields = (
            "id", "application", "operation", "state", "purpose", "legal_basis", "agreement", "valid_from",
            "valid_until", "fields", "quota", "networks", "created_at",
        )  # fmt: skip
        read_only_fields = ("state", "created_at")
        validators: ClassVar[list[Any]] = []

    fields = Words(required=False)


class CallSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = CallRecord
        exclude = ("operation_ref",)

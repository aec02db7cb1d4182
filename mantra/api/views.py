"""The views of the management API, one for each kind of definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework import mixins, status, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.metadata import SimpleMetadata
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import SAFE_METHODS, DjangoModelPermissions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from dataservices import uploads
from dataservices.models import DataOperation, DataSource, UploadedTable
from mantra.api import serializers
from mantra.api.authentication import TokenAuthentication
from mantra.api.parsers import JSONParser
from mantra.verification.models import VerificationOperation
from proxyservices.models import Backend, ProxyOperation
from registry import approvals, deletion, requests, tenancy, versions
from registry.locking import lock
from registry.lookups import with_lookups
from registry.models import (
    AccessKey,
    Agency,
    Application,
    CallRecord,
    ChangeRecord,
    ClientCertificate,
    Grant,
    Operation,
    OperationVersion,
    PublishRequest,
    Service,
    SnapshotVersion,
    User,
)


class Conflict(APIException):  # type: ignore[misc]
    status_code = status.HTTP_409_CONFLICT
    default_detail = _("Another definition depends on it, or changed at the same time.")
    default_code = "conflict"


# ---------------------------------------------------------------------------------- permissions


class RolePermission(DjangoModelPermissions):  # type: ignore[misc]
    """The rights of the role (roles.py), on the rows of the user's agency (tenancy.py)."""

    perms_map: ClassVar[dict[str, list[str]]] = {
        **DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        method = view.acts_as.get(view.action, request.method)
        return any(self.allowed(request, method, model) for model in view.kinds(request))

    def has_object_permission(self, request: Request, view: Any, row: Any) -> bool:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return True
        method = view.acts_as.get(view.action, request.method)
        return self.allowed(request, method, type(row)) and tenancy.may_change(request.user, row)

    def allowed(self, request: Request, method: str, model: type[Model]) -> bool:
        """Return True if the user's role has the right that a method needs on a model."""
        return bool(request.user.has_perms(self.get_required_permissions(method, model)))


# -------------------------------------------------------------------------------------- filters


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError
    return value


def _number(value: str) -> int:
    if len(value) > 15:
        raise ValueError
    return int(value)


def _datetime(value: str) -> datetime:
    time = parse_datetime(value)
    if time is None:
        raise ValueError
    try:
        return (time if timezone.is_aware(time) else timezone.make_aware(time)).astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def _boolean(value: str) -> bool:
    return {"true": True, "false": False}[value]


ValueParser = Callable[[str], Any]
_TYPES: dict[ValueParser, dict[str, str]] = {
    _text: {"type": "string"},
    _number: {"type": "integer"},
    _datetime: {"type": "string", "format": "date-time"},
    _boolean: {"type": "boolean"},
}


class Filter(BaseFilterBackend):  # type: ignore[misc]
    """Filters by the view's ``filters``: query parameter → (lookup, parser of its value)."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        for name, (lookup, parse) in view.filters.items():
            if name in request.query_params:
                try:
                    queryset = queryset.filter(**{lookup: parse(request.query_params[name])})
                except (ValueError, KeyError):
                    raise ValidationError({name: [_("This value does not fit.")]}) from None
        return queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {"name": name, "in": "query", "required": False, "schema": _TYPES[parse]}
            for name, (_lookup, parse) in view.filters.items()
        ]


class PageParameters(PageNumberPagination):  # type: ignore[misc]
    page_size_query_param = "page_size"
    max_page_size = 1000


class HistoryPagination(CursorPagination):  # type: ignore[misc]
    """Pages without a count and an offset, which are slow on the call history."""

    ordering = ("-started_at", "-id")
    page_size_query_param = "page_size"
    max_page_size = 1000

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        try:
            if cursor is not None and cursor.position is not None:
                _datetime(cursor.position)
        except ValueError:
            raise NotFound(self.invalid_cursor_message) from None
        return cursor


# ---------------------------------------------------------------------------------------- views


class Metadata(SimpleMetadata):  # type: ignore[misc]
    """The response to OPTIONS: name and media types. The schema (/manage/api/v1/schema/) has the fields."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        return {
            "name": view.get_view_name(),
            "renders": [renderer.media_type for renderer in view.renderer_classes],
            "parses": [parser.media_type for parser in view.parser_classes],
        }


class RegistryViewSet(viewsets.GenericViewSet):  # type: ignore[misc]
    """The common part of all views: authentication, rights, visible rows, format."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (RolePermission,)
    renderer_classes = (JSONRenderer,)
    parser_classes: tuple[Any, ...] = (JSONParser,)
    filter_backends = (Filter,)
    pagination_class = PageParameters
    metadata_class = Metadata
    lookup_value_regex = "[0-9]{1,15}"
    filters: ClassVar[Mapping[str, tuple[str, ValueParser]]] = {}
    #: Actions by POST that change a row: they need the right to change, not to add.
    acts_as: ClassVar[Mapping[str, str]] = {
        "publish": "PATCH", "revert": "PATCH", "revoke": "PATCH", "approve": "PATCH",
    }  # fmt: skip

    def kinds(self, request: Request) -> Sequence[type[Model]]:
        """Return the models that the request concerns. A right on one of them is enough to continue."""
        return [self.queryset.model]

    def get_queryset(self) -> QuerySet[Any]:
        return tenancy.visible(super().get_queryset(), self.request.user)

    def get_object(self) -> Any:
        """Return the request's row. One that is to be changed is locked: others that change it wait."""
        if self.request.method not in SAFE_METHODS:
            lock(self.queryset.model, self.kwargs["pk"])
        return self.find_object()

    def find_object(self) -> Any:
        """Return the request's row. Raises NotFound or PermissionDenied."""
        try:
            return super().get_object()
        except Http404:  # its text is English in every language
            raise NotFound from None

    def log(self, row: Any, flag: int, message: list[dict[str, Any]] | str) -> None:
        """Add a change to the admin's log, as the admin does: with the names of fields, never their values."""
        LogEntry.objects.log_actions(self.request.user.pk, [row], flag, change_message=message, single_object=True)


@contextmanager
def one_change() -> Iterator[None]:
    """Make what is read, checked and written one transaction. Raises Conflict if the registry does not allow it."""
    try:
        with transaction.atomic():
            yield
    except deletion.InUse as reason:
        raise Conflict(str(reason)) from None
    except (ProtectedError, IntegrityError):
        raise Conflict from None


class WritableMixin(mixins.CreateModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin):  # type: ignore[misc]
    """Creating, changing and deleting. Tenancy is checked for the row with its new values."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with one_change():
            SnapshotVersion.lock()  # rows are counted: nobody else adds one meanwhile
            return super().create(request, *args, **kwargs)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with one_change():
            return super().update(request, *args, **kwargs)

    def perform_create(self, serializer: Any) -> None:
        self._save(serializer)

    def perform_update(self, serializer: Any) -> None:
        self._save(serializer)

    def _save(self, serializer: Any) -> None:
        new = serializer.instance is None
        message = {"added": {}} if new else {"changed": {"fields": sorted(serializer.validated_data)}}
        serializer.save()
        self.log(serializer.instance, ADDITION if new else CHANGE, [message])  # type: ignore[attr-defined]

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with one_change():
            deletion.delete(request.user, self.get_object())  # type: ignore[attr-defined]
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReadableMixin(mixins.ListModelMixin, mixins.RetrieveModelMixin):  # type: ignore[misc]
    """The list of rows, and one row."""


class SteppedMixin:
    """Rows that change by steps: who may take one, and the row's lock, are those of the module in registry/."""

    def find_object(self) -> Any:
        """Return the request's row. Raises NotFound."""
        row = self.get_queryset().filter(pk=self.kwargs["pk"]).first()  # type: ignore[attr-defined]
        if row is None:
            raise NotFound
        return row

    def get_object(self) -> Any:
        return self.find_object()


class Agencies(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = Agency.objects.select_related("parent")
    serializer_class = serializers.AgencySerializer
    filters = {"code": ("code", _text)}


class Users(ReadableMixin, RegistryViewSet):
    queryset = User.objects.select_related("agency").prefetch_related("groups").order_by("username")
    serializer_class = serializers.UserSerializer
    filters = {"agency": ("agency__code", _text), "username": ("username", _text), "is_active": ("is_active", _boolean)}


class Sources(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = DataSource.objects.select_related("agency")
    serializer_class = serializers.SourceSerializer
    filters = {"agency": ("agency__code", _text), "code": ("code", _text), "engine": ("engine", _text)}


class Backends(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = Backend.objects.select_related("agency").prefetch_related("servers")
    serializer_class = serializers.BackendSerializer
    filters = {"agency": ("agency__code", _text), "code": ("code", _text)}


class UploadedTables(
    ReadableMixin, mixins.CreateModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, RegistryViewSet
):
    """Tables from uploaded files. A file is sent as multipart/form-data, and read with the types that are proposed."""

    queryset = UploadedTable.objects.select_related("source__agency", "current").prefetch_related("versions")
    serializer_class = serializers.UploadedTableSerializer
    parser_classes = (MultiPartParser, JSONParser)
    http_method_names = ("get", "head", "options", "post", "patch", "delete")
    filters = {"agency": ("source__agency__code", _text), "name": ("name", _text)}
    acts_as: ClassVar[Mapping[str, str]] = {"replace": "PATCH", "bring_back": "PATCH"}

    @extend_schema(
        request={"multipart/form-data": serializers.UploadSerializer},
        responses={201: serializers.UploadedTableSerializer},
    )
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a table from a file."""
        values = self._values(serializers.UploadSerializer)
        agency = values["agency"]
        if not tenancy.may_change(request.user, DataSource(agency=agency)):
            raise PermissionDenied
        choices = uploads.Choices(values["title"], values.get("name", ""), note=values.get("note", ""))
        with _upload_errors():
            preview = self._preview(agency, values)
            source, name = uploads.create_table(agency, preview, choices, request.user)
        table = self.get_queryset().get(source=source, name=name)
        return Response(self.get_serializer(table).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        request={"multipart/form-data": serializers.FileSerializer}, responses=serializers.UploadedTableSerializer
    )
    @action(detail=True, methods=["post"])
    def replace(self, request: Request, pk: str) -> Response:
        """Replace the content by that of a newer file with the same columns."""
        table = self.find_object()
        values = self._values(serializers.FileSerializer)
        with _upload_errors():
            preview = self._preview(table.source.agency, values)
            uploads.replace_table(table, preview, request.user, values.get("note", ""))
        return Response(self.get_serializer(self.find_object()).data)

    @extend_schema(request=serializers.VersionNumberSerializer, responses=serializers.UploadedTableSerializer)
    @action(detail=True, methods=["post"], url_path="bring-back")
    def bring_back(self, request: Request, pk: str) -> Response:
        """Make an older version the current one."""
        table = self.find_object()
        version = table.versions.filter(number=self._values(serializers.VersionNumberSerializer)["version"]).first()
        if version is None:
            raise NotFound
        with _upload_errors():
            uploads.bring_back(table, version, request.user)
        return Response(self.get_serializer(self.find_object()).data)

    def _values(self, serializer: Any) -> dict[str, Any]:
        filled = serializer(data=self.request.data, context=self.get_serializer_context())
        filled.is_valid(raise_exception=True)
        values: dict[str, Any] = filled.validated_data
        return values

    def _preview(self, agency: Agency, values: dict[str, Any]) -> uploads.Preview:
        file, sheet = values["file"], values.get("sheet", "")
        preview = uploads.inspect(agency, file.name, file.chunks())
        return uploads.look_again(preview, sheet) if sheet and sheet != preview.found.sheet else preview

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change the title."""
        with one_change():
            return super().partial_update(request, *args, **kwargs)

    def perform_update(self, serializer: Any) -> None:
        serializer.save()
        self.log(serializer.instance, CHANGE, [{"changed": {"fields": sorted(serializer.validated_data)}}])

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with one_change():
            deletion.delete(request.user, self.get_object())  # type: ignore[arg-type]
        return Response(status=status.HTTP_204_NO_CONTENT)


@contextmanager
def _upload_errors() -> Iterator[None]:
    """Return why a file is refused as the errors of a request."""
    try:
        yield
    except uploads.UploadError as error:
        raise ValidationError({"file": [str(error)]}) from None
    except DjangoValidationError as error:
        raise ValidationError(error.message_dict) from None


class Services(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = Service.objects.select_related("agency")
    serializer_class = serializers.ServiceSerializer
    filters = {
        "agency": ("agency__code", _text),
        "code": ("code", _text),
        "classification": ("classification", _text),
    }


class Applications(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = Application.objects.select_related("agency")
    serializer_class = serializers.ApplicationSerializer
    filters = {"agency": ("agency__code", _text), "code": ("code", _text), "active": ("active", _boolean)}


OPERATIONS: dict[str, tuple[type[Operation], type[serializers.OperationSerializer]]] = {
    "data": (DataOperation, serializers.DataOperationSerializer),
    "proxy": (ProxyOperation, serializers.ProxyOperationSerializer),
    "verification": (VerificationOperation, serializers.VerificationOperationSerializer),
}
_RELATED = {
    "data": (("service__agency", "source__agency"), ("parameters", "fields")),
    "proxy": (("service__agency", "backend__agency"), ("parameters", "fields", "mappings", "descriptions")),
    "verification": (("service__agency", "base__service__agency"), ("parameters", "fields", "verified_fields")),
}


#: The path of one version below an operation's, and its parameter in the description.
_VERSION_PATH = r"versions/(?P<number>[0-9]{1,9})"
_NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH)
Origin = OperationVersion.Origin


def _any_kind(many: bool | None = None) -> PolymorphicProxySerializer:
    return PolymorphicProxySerializer(
        component_name="Operation",
        serializers={kind: serializer for kind, (_model, serializer) in OPERATIONS.items()},
        resource_type_field_name="kind",
        many=many,
    )


@extend_schema_view(
    list=extend_schema(responses=_any_kind(many=True)),
    retrieve=extend_schema(responses=_any_kind()),
    create=extend_schema(request=_any_kind(), responses={201: _any_kind()}),
    update=extend_schema(request=_any_kind(), responses=_any_kind()),
    partial_update=extend_schema(request=_any_kind(), responses=_any_kind()),
)
class Operations(ReadableMixin, WritableMixin, RegistryViewSet):
    """Operations of all kinds. ``kind`` selects the kind when an operation is created; it never changes."""

    queryset = Operation.objects.all()
    serializer_class = serializers.OperationSerializer
    filters = {
        "agency": ("service__agency__code", _text),
        "service": ("service__code", _text),
        "code": ("code", _text),
        "kind": ("kind", _text),
        "state": ("state", _text),
        "access": ("access", _text),
    }

    def kinds(self, request: Request) -> Sequence[type[Model]]:
        if request.method == "POST" and self.action == "create":
            return [OPERATIONS[self._kind(request)][0]]
        return [model for model, _serializer in OPERATIONS.values()]

    def _kind(self, request: Request) -> str:
        kind = request.data.get("kind") if isinstance(request.data, dict) else None
        if not isinstance(kind, str) or kind not in OPERATIONS:
            raise ValidationError({"kind": [_("Enter data, proxy or verification.")]})
        return kind

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible operations of the kinds that the role may view."""
        rights, user = RolePermission(), self.request.user
        visible = [
            kind for kind, (model, _serializer) in OPERATIONS.items() if rights.allowed(self.request, "GET", model)
        ]
        return tenancy.visible(Operation.objects.listed().filter(kind__in=visible), user)

    def _rows_of_kind(self, rows: Iterable[Operation]) -> Sequence[Any]:
        """Return the operations as rows of their kinds, with their lists, in few queries."""
        by_id: dict[int, Any] = {}
        for kind, (model, _serializer) in OPERATIONS.items():
            joined, lists = _RELATED[kind]
            ids = [row.pk for row in rows if row.kind == kind]
            by_id.update(model._default_manager.select_related(*joined).prefetch_related(*lists).in_bulk(ids))
        return [by_id[row.pk] for row in rows if row.pk in by_id]

    def find_object(self) -> Any:
        """Return the operation as a row of its kind. Raises NotFound or PermissionDenied."""
        rows = self._rows_of_kind(self.get_queryset().filter(pk=self.kwargs["pk"]))
        if not rows:
            raise NotFound
        self.check_object_permissions(self.request, rows[0])
        return rows[0]

    def _serialized(self, row: Any) -> Any:
        return OPERATIONS[row.kind][1](row, context=self.get_serializer_context()).data

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([self._serialized(row) for row in self._rows_of_kind(page)])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self._serialized(self.get_object()))

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Return the serializer of the kind: the row's, or for a new row that which the request names."""
        if not args and "data" not in kwargs:  # what the schema is generated from
            return super().get_serializer(*args, **kwargs)
        kind = args[0].kind if args else self._kind(self.request)
        return OPERATIONS[kind][1](*args, **kwargs, context=self.get_serializer_context())

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return with_lookups(lambda: super(Operations, self).create(request, *args, **kwargs))

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return with_lookups(lambda: super(Operations, self).update(request, *args, **kwargs))

    @extend_schema(
        request=serializers.PublishSerializer, responses={200: _any_kind(), 202: serializers.PublishRequestSerializer}
    )
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        """Publish the operation, or the draft beside it. The whole definition is validated again.

        202: a second person must approve it; the response is the publish request that was made for that.
        """
        return with_lookups(self._publish)

    def _publish(self) -> Response:
        with one_change():
            row, said = self.get_object(), given(self.request, serializers.PublishSerializer)
            draft = row if row.state == Operation.State.DRAFT else versions.draft_of(row)
            if draft is None or draft == row:  # with errors at the fields that they are about
                data = {"state": "published", "sunset": None, **said}
                serializer = self.get_serializer(row, data=data, partial=True)
                serializer.is_valid(raise_exception=True)
            if draft is not None:
                return self._put_into_force(lambda user: approvals.submit(draft, user, origin=Origin.API, **said))
            self.perform_update(serializer)
            return Response(self._serialized(self.find_object()))

    def _put_into_force(self, publish: Callable[[User], OperationVersion | PublishRequest]) -> Response:
        """Publish a version or request it. Raises ValidationError with why it must not be."""
        try:
            made = publish(self.request.user)
        except DjangoValidationError as error:
            raise serializers.refusal(error) from None
        if isinstance(made, PublishRequest):
            return Response(serializers.PublishRequestSerializer(made).data, status.HTTP_202_ACCEPTED)
        return Response(self._serialized(self.find_object()))

    @extend_schema(responses=serializers.VersionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, pk: str) -> Response:
        """Return the operation's published versions, the newest first."""
        page = self.paginate_queryset(self.get_object().versions.defer("definition"))
        return self.get_paginated_response(serializers.VersionSerializer(page, many=True).data)

    @extend_schema(parameters=[_NUMBER], responses=serializers.FullVersionSerializer)
    @action(detail=True, methods=["get"], url_path=_VERSION_PATH)
    def version(self, request: Request, pk: str, number: str) -> Response:
        """Return one version with its definition."""
        return Response(serializers.FullVersionSerializer(self._version(number)).data)

    def _version(self, number: str) -> OperationVersion:
        version: OperationVersion | None = self.get_object().versions.filter(number=int(number)).first()
        if version is None:
            raise NotFound
        return version

    @extend_schema(
        parameters=[_NUMBER],
        request=serializers.ReasonSerializer,
        responses={200: _any_kind(), 202: serializers.PublishRequestSerializer},
    )
    @action(detail=True, methods=["post"], url_path=f"{_VERSION_PATH}/revert")
    def revert(self, request: Request, pk: str, number: str) -> Response:
        """Publish an earlier version again, as a new version.

        202: a second person must approve it; it is the draft meanwhile, and the response is the publish request.
        """
        return with_lookups(lambda: self._revert(number))

    def _revert(self, number: str) -> Response:
        with one_change():
            version, reason = self._version(number), given_reason(self.request)
            return self._put_into_force(lambda user: approvals.revert(version, user, reason))


def given_reason(request: Request) -> str:
    """Return the reason in a request's body. Raises ValidationError."""
    return given(request, serializers.ReasonSerializer)["reason"]


def given(request: Request, kind: type[serializers.ReasonSerializer]) -> dict[str, str]:
    """Return the texts in a request's body. Raises ValidationError."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return {name: str(text) for name, text in serializer.validated_data.items()}


class PublishRequests(ReadableMixin, RegistryViewSet):
    """What was requested to be published, and the decisions of second persons."""

    queryset = PublishRequest.objects.select_related("operation__service__agency", "requested_by", "decided_by")
    serializer_class = serializers.PublishRequestSerializer
    filters = {"state": ("state", _text), "agency": ("operation__service__agency__code", _text)}
    acts_as: ClassVar[Mapping[str, str]] = dict.fromkeys(("approve", "reject", "withdraw"), "GET")

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible requests about the kinds of operation that the user may view."""
        kinds = approvals.viewed_kinds(self.request.user)
        return super().get_queryset().filter(operation__kind__in=kinds)

    def get_object(self) -> Any:
        return self.find_object()  # approvals.py locks it

    @extend_schema(request=serializers.ReasonSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Publish what was requested. 409 if the draft has changed since."""
        return with_lookups(lambda: self._decide(approvals.approve))

    @extend_schema(request=serializers.ReasonSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Reject the request, with a reason."""
        return self._decide(approvals.reject)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Withdraw the own request."""
        return self._decide(lambda row, user, _reason: approvals.withdraw(row, user))

    def _decide(self, decide: Callable[[PublishRequest, User, str], Any]) -> Response:
        row = self.find_object()
        try:
            decide(row, self.request.user, given_reason(self.request))
        except DjangoValidationError as error:
            raise serializers.refusal(error) from None
        row.refresh_from_db()
        if decide == approvals.approve and row.state != PublishRequest.State.APPROVED:
            raise Conflict(_("The draft has changed: the request no longer counts. Nothing was published."))
        return Response(self.get_serializer(row).data)


class _Credentials(ReadableMixin, WritableMixin, RegistryViewSet):
    """What an application proves itself with."""

    filters = {"agency": ("application__agency__code", _text), "application": ("application__code", _text)}

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Revoke it for good. Every worker process refuses it within a second."""
        with one_change():
            credential = self.get_object()
            credential.revoke()
            self.log(credential, CHANGE, [{"changed": {"fields": ["revoked_at"]}}])
        return Response(self.get_serializer(credential).data)


class Keys(_Credentials):
    queryset = AccessKey.objects.select_related("application__agency", "operation__service__agency")
    serializer_class = serializers.KeySerializer
    filters = {
        **_Credentials.filters,
        "in_path": ("in_path", _boolean),
        "used_in_path_since": ("last_used_in_path_at__gte", _datetime),
    }

    def get_serializer_class(self) -> Any:
        return serializers.NewKeySerializer if self.action == "create" else serializers.KeySerializer


class ClientCertificates(_Credentials):
    queryset = ClientCertificate.objects.select_related("application__agency")
    serializer_class = serializers.ClientCertificateSerializer


class Grants(ReadableMixin, WritableMixin, RegistryViewSet):
    queryset = Grant.objects.select_related(
        "application__agency",
        "operation__service__agency",
        "operation__dataoperation",
        "operation__proxyoperation",
        "operation__verificationoperation",
    ).prefetch_related(
        "operation__fields",
        "operation__dataoperation__parameters",
        "operation__proxyoperation__parameters",
        "operation__proxyoperation__mappings",
        "operation__verificationoperation__parameters",
    )
    serializer_class = serializers.GrantSerializer
    filters = {
        "agency": ("operation__service__agency__code", _text),
        "consumer_agency": ("application__agency__code", _text),
        "application": ("application__code", _text),
        "operation": ("operation__code", _text),
        "state": ("state", _text),
    }

    def _save(self, serializer: Any) -> None:
        before = Grant.objects.get(pk=serializer.instance.pk) if serializer.instance is not None else None
        super()._save(serializer)
        self._check_direct(serializer.instance, before)
        requests.tell_of_grant(serializer.instance, serializer.instance.state)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Revoke the grant."""
        with one_change():
            grant = self.get_object()
            return self._set_state(grant, grant.state, Grant.State.REVOKED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Approve a grant that was revoked."""
        with one_change():
            grant = self.get_object()
            try:
                grant.full_clean()
            except DjangoValidationError as error:
                raise ValidationError(error.message_dict) from None
            before, grant.state = Grant.objects.get(pk=grant.pk), Grant.State.APPROVED
            self._check_direct(grant, before)
            return self._set_state(grant, before.state, Grant.State.APPROVED)

    def _check_direct(self, grant: Grant, before: Grant | None) -> None:
        """Check what one person may grant alone. Raises ValidationError, which undoes the change."""
        try:
            requests.check_direct(grant, before, self.request.user)
        except DjangoValidationError as error:
            raise ValidationError(error.message_dict) from None

    def _set_state(self, grant: Grant, before: str, state: str) -> Response:
        grant.set_state(state)
        requests.tell_of_grant(grant, before)
        self.log(grant, CHANGE, [{"changed": {"fields": ["state"]}}])
        return Response(self.get_serializer(grant).data)


class Calls(ReadableMixin, RegistryViewSet):
    queryset = CallRecord.objects.all()
    serializer_class = serializers.CallSerializer
    pagination_class = HistoryPagination
    filters = {
        "request_id": ("request_id", _text),
        "agency": ("agency", _text),
        "service": ("service", _text),
        "operation": ("operation", _text),
        "consumer_agency": ("consumer_agency", _text),
        "application": ("application", _text),
        "outcome": ("outcome", _number),
        "since": ("started_at__gte", _datetime),
        "until": ("started_at__lt", _datetime),
    }


class ChangesPagination(HistoryPagination):
    ordering = ("-at", "-id")


class Changes(ReadableMixin, RegistryViewSet):
    """The changes of definitions: who, when, which row and which fields, without values."""

    queryset = ChangeRecord.objects.filter(committed=True)
    serializer_class = serializers.ChangeSerializer
    pagination_class = ChangesPagination
    filters = {
        "user": ("user", _text),
        "agency": ("agency", _text),
        "kind": ("kind", _text),
        "ref": ("ref", _number),
        "since": ("at__gte", _datetime),
        "until": ("at__lt", _datetime),
    }

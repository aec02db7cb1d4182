"""Access requests in the management API: the same steps and rules as on their pages (registry/requests)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mantra.api.serializers import NameListField, PairsField, of_agency, operation
from mantra.api.views import Conflict, ReadableMixin, RegistryViewSet, RolePermission, SteppedMixin, _text
from registry import agreements, catalogue, requests, tenancy
from registry.models import AccessRequest, Application, Operation, RequestedOperation, bounds, names
from registry.models.requests import TEXT
from registry.requests import Decision, Terms, Wanted
from registry.requests.asking import CONTENT, MAX_OPERATIONS


class RequestedOperationSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """An operation of a request. ``seen`` is sent back with a decision: it says what the decision is about."""

    operation = operation(read_only=True)
    granted_fields = NameListField(read_only=True)
    granted_networks = NameListField(read_only=True)
    granted_masks = PairsField(read_only=True)
    granted_values = PairsField(read_only=True)
    decided_by = serializers.CharField(source="decided_by.username", read_only=True, default=None)
    confirmed_by = serializers.CharField(source="confirmed_by.username", read_only=True, default=None)
    seen = serializers.SerializerMethodField()

    class Meta:
        model = RequestedOperation
        fields = (
            "id", "operation", "fields", "state", "granted_fields", "granted_quota", "granted_from", "granted_until",
            "granted_networks", "granted_masks", "granted_values", "decided_by", "decided_at", "confirmed_by", "reason",
            "grant", "seen",
        )  # fmt: skip

    fields = NameListField(read_only=True)

    def get_seen(self, item: RequestedOperation) -> str:
        return requests.mark(item)


class StepSerializer(serializers.Serializer):  # type: ignore[misc]
    """A step of a request; without a time it has not come yet."""

    label = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    user = serializers.CharField()
    text = serializers.CharField()
    operation = serializers.CharField()


class AccessRequestSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    application = of_agency(read_only=True)
    service = of_agency(read_only=True)
    networks = NameListField(read_only=True)
    agreement_file = serializers.CharField(source="agreement_file.name", read_only=True, default=None)
    requested_by = serializers.CharField(source="requested_by.username", read_only=True)
    operations = serializers.SerializerMethodField()
    steps = StepSerializer(many=True, read_only=True)

    class Meta:
        model = AccessRequest
        fields = (
            "id", "application", "service", "state", "revision", *CONTENT, "agreement_file", "requested_by",
            "requested_at", "expires_at", "decided_at", "operations", "steps",
        )  # fmt: skip

    @extend_schema_field(RequestedOperationSerializer(many=True))
    def get_operations(self, row: AccessRequest) -> Any:
        return RequestedOperationSerializer(requests.items_of(row), many=True).data


class WantedOperationSerializer(serializers.Serializer):  # type: ignore[misc]
    operation = serializers.CharField(max_length=300)
    fields = serializers.ListField(child=serializers.CharField(max_length=127), required=False, max_length=2000)


class WantedSerializer(serializers.Serializer):  # type: ignore[misc]
    """What is requested. With a ``token`` that was used before, the response is the request that was made then."""

    application = serializers.CharField(max_length=200)
    operations = WantedOperationSerializer(many=True, max_length=MAX_OPERATIONS)
    purpose = serializers.CharField(max_length=300)
    legal_basis = serializers.CharField(max_length=300, required=False, allow_blank=True)
    agreement = serializers.CharField(max_length=100, required=False, allow_blank=True)
    valid_from = serializers.DateField(required=False, allow_null=True)
    valid_until = serializers.DateField(required=False, allow_null=True)
    volume = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    volume_period = serializers.ChoiceField(choices=AccessRequest.Period.choices, required=False)
    networks = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, max_length=bounds.NETWORKS * 10
    )
    token = serializers.UUIDField(required=False)

    def wanted(self, file: Any = None) -> Wanted:
        """Return what a valid body says, for the user of the request."""
        values = dict(self.validated_data)
        user = self.context["request"].user
        operations = {_operation(user, each["operation"]): each.get("fields", []) for each in values.pop("operations")}
        application = _application(user, values.pop("application"))
        networks = "\n".join(values.pop("networks", []))
        return Wanted(application=application, operations=operations, networks=networks, agreement_file=file, **values)


def _application(user: Any, address: str) -> Application:
    rows = tenancy.visible(Application.objects.select_related("agency"), user)
    return _found(rows, address, ("agency__code", "code"), "application")


def _operation(user: Any, address: str) -> Operation:
    rows = catalogue.listed(user).select_related("service__agency")
    return _found(rows, address, ("service__agency__code", "service__code", "code"), "operations")


def _found(rows: QuerySet[Any], address: str, path: tuple[str, ...], field: str) -> Any:
    """Return the row at an address such as "bkn/simpeg". Raises ValidationError."""
    parts = address.split("/") if "\0" not in address else []
    row = rows.filter(**dict(zip(path, parts, strict=True))).first() if len(parts) == len(path) else None
    if row is None:
        raise ValidationError({field: [_("There is no {name} that you may use.").format(name=address)]})
    return row


class TextSerializer(serializers.Serializer):  # type: ignore[misc]
    text = serializers.CharField(max_length=TEXT)


class SeenSerializer(serializers.Serializer):  # type: ignore[misc]
    """An operation of a request, as it was seen."""

    id = serializers.IntegerField(min_value=1, max_value=10**15)
    seen = serializers.CharField(max_length=64)


class VerdictSerializer(serializers.Serializer):  # type: ignore[misc]
    operations = SeenSerializer(many=True, max_length=MAX_OPERATIONS)
    reason = serializers.CharField(max_length=TEXT, required=False, allow_blank=True, default="")


class TermsSerializer(SeenSerializer):
    """A decision on one operation. Without ``grant`` it is rejected."""

    grant = serializers.BooleanField()
    fields = serializers.ListField(child=serializers.CharField(max_length=127), required=False, max_length=2000)
    quota = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")
    valid_from = serializers.DateField(required=False, allow_null=True, default=None)
    valid_until = serializers.DateField(required=False, allow_null=True, default=None)
    networks = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, max_length=bounds.NETWORKS * 10
    )
    masks = PairsField(required=False, default="")
    values = PairsField(required=False, default="")


class DecisionsSerializer(serializers.Serializer):  # type: ignore[misc]
    operations = TermsSerializer(many=True, max_length=MAX_OPERATIONS)
    reason = serializers.CharField(max_length=TEXT, required=False, allow_blank=True, default="")


class AgreementFileSerializer(serializers.Serializer):  # type: ignore[misc]
    file = serializers.FileField()


# ------------------------------------------------------------------------------------------------- views


#: Actions → the right that they need. The rules of the steps decide the rest.
_RIGHTS = {
    **dict.fromkeys(("change", "agreement", "answer", "withdraw"), requests.ASKING),
    **dict.fromkeys(("review", "ask", "approve", "decide", "reject"), requests.DECIDING),
}


class StepPermission(RolePermission):
    """The rights of the role: to ask, or to decide."""

    def has_permission(self, request: Request, view: Any) -> bool:
        right = _RIGHTS.get(view.action)
        return super().has_permission(request, view) if right is None else request.user.has_perm(right)


class AccessRequests(SteppedMixin, mixins.CreateModelMixin, ReadableMixin, RegistryViewSet):
    """Requests for grants. The applicant's agency and the offering one see them, and each takes its steps."""

    queryset = AccessRequest.objects.select_related(
        "application__agency", "service__agency", "requested_by", "agreement_file"
    )
    serializer_class = AccessRequestSerializer
    filters = {
        "state": ("state", _text), "agency": ("service__agency__code", _text),
        "consumer_agency": ("application__agency__code", _text), "application": ("application__code", _text),
    }  # fmt: skip
    permission_classes = (StepPermission,)

    @extend_schema(request=WantedSerializer)
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Request access. 409 if an operation is in another open request of the application."""
        made = _step(lambda: requests.submit(request.user, self._wanted()))
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    def _wanted(self, file: Any = None) -> Wanted:
        serializer: WantedSerializer = self._valid(WantedSerializer)
        return serializer.wanted(file)

    def _valid(self, kind: type[serializers.Serializer]) -> Any:
        serializer = kind(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer

    def _take(self, step: Callable[[AccessRequest, Any], Any]) -> Response:
        """Take a step with the request's row and user, and return the request as it is then."""
        row = self.find_object()
        _step(lambda: step(row, self.request.user))
        return Response(self.get_serializer(self.find_object()).data)

    @extend_schema(request=WantedSerializer)
    @action(detail=True, methods=["post"])
    def change(self, request: Request, pk: str) -> Response:
        """Change what is requested. After a question, that is an answer."""
        return self._take(lambda row, user: requests.revise(row, user, self._wanted(row.agreement_file)))

    @extend_schema(request={"multipart/form-data": AgreementFileSerializer})
    @action(detail=True, methods=["post"], parser_classes=(MultiPartParser, JSONParser))
    def agreement(self, request: Request, pk: str) -> Response:
        """Add the agreement's file, or replace it: PDF, JPEG or PNG."""
        return self._take(lambda row, user: _attach(row, user, self._valid(AgreementFileSerializer)))

    @extend_schema(request=TextSerializer)
    @action(detail=True, methods=["post"])
    def answer(self, request: Request, pk: str) -> Response:
        """Answer the offering agency's question."""
        return self._take(lambda row, user: requests.answer(row, user, self._given_text()))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Withdraw what is not decided yet."""
        return self._take(requests.withdraw)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def review(self, request: Request, pk: str) -> Response:
        """Show the applicant that the request is in review."""
        return self._take(requests.begin_review)

    @extend_schema(request=TextSerializer)
    @action(detail=True, methods=["post"])
    def ask(self, request: Request, pk: str) -> Response:
        """Return the request to the applicant with a question."""
        return self._take(lambda row, user: requests.ask_back(row, user, self._given_text()))

    @extend_schema(request=VerdictSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Approve operations as requested, or confirm a first approval. 409 if something has changed since."""
        return self._take(lambda row, user: requests.approve(row, user, *self._verdict()))

    @extend_schema(request=VerdictSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Reject operations, with a reason."""
        return self._take(lambda row, user: requests.reject(row, user, *self._verdict()))

    def _verdict(self) -> tuple[dict[int, str], str]:
        values = self._valid(VerdictSerializer).validated_data
        return {each["id"]: each["seen"] for each in values["operations"]}, values["reason"]

    @extend_schema(request=DecisionsSerializer)
    @action(detail=True, methods=["post"])
    def decide(self, request: Request, pk: str) -> Response:
        """Decide on each operation: grant it with its own terms, or reject it."""
        return self._take(lambda row, user: requests.decide(row, user, *self._decisions()))

    def _decisions(self) -> tuple[dict[int, Decision], str]:
        values = self._valid(DecisionsSerializer).validated_data
        return {each["id"]: _decision(each) for each in values["operations"]}, values["reason"]

    def _given_text(self) -> str:
        return str(self._valid(TextSerializer).validated_data["text"])


def _decision(values: dict[str, Any]) -> Decision:
    terms = Terms(
        frozenset(values.get("fields", ())), values["quota"], values["valid_from"], values["valid_until"],
        "\n".join(values.get("networks", ())), values["masks"], values["values"],
    )  # fmt: skip
    return Decision(values["seen"], terms if values["grant"] else None)


def _attach(row: AccessRequest, user: Any, sent: Any) -> None:
    """Store a file and make it the request's. Raises what requests.revise() raises."""
    if not requests.may_ask(user, row.application):
        raise NotFound
    pending = {item.operation: names(item.fields) for item in requests.items_of(row) if item.is_pending}
    upload = sent.validated_data["file"]
    # Before the transaction of the step: inspecting a file takes a while, and a file without a request is swept.
    file = agreements.store(user, upload.name, upload.chunks())
    same = {name: getattr(row, name) for name in CONTENT}
    requests.revise(row, user, Wanted(application=row.application, operations=pending, agreement_file=file, **same))


def _step(step: Callable[[], Any]) -> Any:
    """Take a step. Raises Conflict for what has changed meanwhile, ValidationError for what the rules refuse."""
    try:
        return step()
    except (requests.Outdated, requests.AlreadyRequested) as error:
        raise Conflict(" ".join(error.messages)) from None
    except DjangoValidationError as error:
        details = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
        raise ValidationError(
            {name.replace("__all__", "non_field_errors"): found for name, found in details.items()}
        ) from None

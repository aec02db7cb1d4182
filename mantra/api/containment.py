"""Stops and incidents in the management API. Their rules are those of the pages (registry/containment.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from mantra.api.serializers import ReferenceField
from mantra.api.views import ReadableMixin, RegistryViewSet, SteppedMixin, _boolean, _datetime, _number, _text
from mantra.containment.affected import counted
from registry import containment, incidents
from registry.models import Incident, IncidentObject, Stop, StopKind, User
from registry.models.bounds import REASON
from registry.models.containment import NAME

#: The fields of a stop that those who are shut out do not see.
_INSIDE = ("agency", "reason", "origin", "started_by", "incident", "released_by", "released_reason", "checks")
_CHECKS = list(Stop.CHECKS.items())


class StopSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A stop. ``agency``: whose people may release it; null: the administrators only. ``owner``: whose its object is.

    Those who are shut out see that it is so, not why, nor by whom: these fields are null for them.
    """

    agency = ReferenceField("code", read_only=True, allow_null=True)
    owner = ReferenceField("code", read_only=True, allow_null=True)
    in_force = serializers.BooleanField(source="is_in_force", read_only=True)
    started_by = serializers.CharField(source="started_by.username", read_only=True, allow_null=True, default=None)
    released_by = serializers.CharField(source="released_by.username", read_only=True, allow_null=True, default=None)
    incident = serializers.CharField(source="incident.number", read_only=True, allow_null=True, default=None)
    reason = serializers.CharField(read_only=True, allow_null=True)
    released_reason = serializers.CharField(read_only=True, allow_null=True)
    origin = serializers.CharField(read_only=True, allow_null=True)
    checks = serializers.SerializerMethodField()

    class Meta:
        model = Stop
        fields: tuple[str, ...] = (
            "id", "kind", "ref", "name", "owner", "in_force", "started_at", "released_at", *_INSIDE,
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(_CHECKS), allow_null=True))
    def get_checks(self, row: Stop) -> list[str]:
        return row.checks.split()

    def to_representation(self, instance: Stop) -> dict[str, Any]:
        representation: dict[str, Any] = super().to_representation(instance)
        if not containment.is_inside(self.context["request"].user, instance):
            representation |= dict.fromkeys(_INSIDE)
        return representation


class CountedStopSerializer(StopSerializer):
    """A stop with the calls that it has refused, and those served since its release, 100,000 at most."""

    refused = serializers.IntegerField(read_only=True, allow_null=True, default=None)
    served = serializers.IntegerField(read_only=True, allow_null=True, default=None)

    class Meta(StopSerializer.Meta):
        fields = (*StopSerializer.Meta.fields, "refused", "served")
        read_only_fields = fields

    def to_representation(self, instance: Stop) -> dict[str, Any]:
        inside = containment.is_inside(self.context["request"].user, instance)
        return super().to_representation(instance) | (counted(instance) if inside else {})


class NewStopSerializer(serializers.Serializer):  # type: ignore[misc]
    """What is to be stopped, by its name in ``target`` or its id in ``ref``; neither for all calls.

    Names are those of addresses; of a key they are its first characters (``public``), of a grant its id.
    """

    kind = serializers.ChoiceField(choices=StopKind.choices)
    target = serializers.CharField(max_length=NAME, required=False)
    ref = serializers.IntegerField(min_value=1, max_value=10**15, required=False)
    reason = serializers.CharField(max_length=REASON)
    incident = serializers.CharField(max_length=90, required=False, help_text=_("The number of an open incident."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = ("target" in attrs) + ("ref" in attrs)
        if given != (0 if attrs["kind"] == StopKind.ALL else 1):
            text = _("Name one object, by target or by ref. For all calls name none.")
            raise serializers.ValidationError({"target": text})
        return attrs


class ReleaseSerializer(serializers.Serializer):  # type: ignore[misc]
    """Why a stop ends, and what was done before."""

    reason = serializers.CharField(max_length=REASON)
    checks = serializers.MultipleChoiceField(choices=_CHECKS, required=False)


class Stops(SteppedMixin, ReadableMixin, RegistryViewSet):
    """What is stopped, and what was. A stop shuts calls out in every process within a second; it is never deleted."""

    queryset = Stop.objects.select_related("agency", "owner", "started_by", "released_by")
    serializer_class = StopSerializer
    filters = {
        "kind": ("kind", _text), "ref": ("ref", _number), "owner": ("owner__code", _text),
        "in_force": ("released_at__isnull", _boolean), "since": ("started_at__gte", _datetime),
        "until": ("started_at__lt", _datetime),
    }  # fmt: skip
    #: Whoever sees stops may try: who may stop what, and release it, is in registry/containment.py.
    acts_as: ClassVar[dict[str, str]] = {"create": "GET", "release": "GET"}

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible stops, each with its incident if the user may see that."""
        seen = incidents.seen_by(self.request.user)
        return super().get_queryset().prefetch_related(Prefetch("incident", seen))

    def get_serializer_class(self) -> Any:
        return CountedStopSerializer if self.action == "retrieve" else StopSerializer

    @extend_schema(request=NewStopSerializer, responses={201: StopSerializer, 200: StopSerializer})
    def create(self, request: Request) -> Response:
        """Stop something, everywhere within a second. 200: it is stopped already, and the response is that stop."""
        values = _valid(NewStopSerializer, request)
        user = request.user
        with _refusals():
            try:
                target = containment.seen_target(user, values["kind"], values.get("target", ""), values.get("ref", 0))
            except DjangoValidationError as error:
                raise ValidationError({"ref" if "ref" in values else "target": error.messages}) from None
            incident = _incident(user, values["incident"]) if "incident" in values else None
            row, is_new = containment.stop_or_find(target.kind, target.ref, values["reason"], user, incident)
        made = self.get_queryset().get(pk=row.pk)
        return Response(
            self.get_serializer(made).data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        )

    @extend_schema(request=ReleaseSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Release the stop. Calls are served within a second, if no other stop of the object is in force."""
        row = self.find_object()
        if row.is_in_force and not containment.may_release(request.user, row):
            raise PermissionDenied
        values = _valid(ReleaseSerializer, request)
        with _refusals():
            containment.release(row, values["reason"], request.user, values.get("checks", ()))
        return Response(self.get_serializer(self.find_object()).data)


def _valid(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """Return the values of a request's body. Raises ValidationError."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


@contextmanager
def _refusals() -> Iterator[None]:
    """Return what the rules refuse as the errors of a request."""
    try:
        yield
    except DjangoValidationError as error:
        found = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        details: dict[str, list[str]] = {}
        for name, messages in found.items():
            details.setdefault("reason" if name.endswith("reason") else "non_field_errors", []).extend(messages)
        raise ValidationError(details) from None


def _incident(user: User, number: str) -> Incident:
    """Return the open incident with a number that the user handles. Raises ValidationError."""
    row = incidents.seen_by(user).filter(number=number).first()
    if row is None or row.is_closed or not incidents.may_handle(user, row):
        raise ValidationError({"incident": [_("There is no {name} that you may use.").format(name=number)]})
    return row


class IncidentObjectSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    class Meta:
        model = IncidentObject
        fields = ("kind", "ref", "name")
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """An incident. ``due_at``: when it must have been notified. ``stops``: in force, in the order of their release."""

    agency = ReferenceField("code", read_only=True, allow_null=True)
    opened_by = serializers.CharField(source="opened_by.username", read_only=True, allow_null=True, default=None)
    due_at = serializers.DateTimeField(read_only=True)
    objects = IncidentObjectSerializer(source="objects_of", many=True, read_only=True)
    stops = serializers.SerializerMethodField()

    class Meta:
        model = Incident
        fields = (
            "id", "number", "agency", "title", "state", "origin", "opened_by", "opened_at", "noticed_at", "due_at",
            "period_from", "period_until", "contained_at", "reported_at", "closed_at", "objects", "stops",
        )  # fmt: skip
        read_only_fields = fields

    def get_stops(self, row: Any) -> list[int]:
        return [stop.pk for stop in incidents.in_order(row.lasting)]


class Incidents(ReadableMixin, RegistryViewSet):
    """Leaks, and suspicions of one. They are opened and handled on their pages."""

    queryset = Incident.objects.select_related("agency", "opened_by").prefetch_related(
        "objects_of", Prefetch("stops", Stop.in_force(), to_attr="lasting")
    )
    serializer_class = IncidentSerializer
    filters = {
        "number": ("number", _text), "state": ("state", _text), "agency": ("agency__code", _text),
        "since": ("opened_at__gte", _datetime), "until": ("opened_at__lt", _datetime),
    }  # fmt: skip

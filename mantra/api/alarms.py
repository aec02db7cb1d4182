"""Alarm rules in the management API, what they would have found, and what they found (registry/harvest)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mantra.api.serializers import RegistrySerializer, agency
from mantra.api.views import HistoryPagination, ReadableMixin, RegistryViewSet, WritableMixin, _datetime, _number, _text
from registry import incidents
from registry.harvest import past
from registry.models import HarvestAlarm, HarvestRule


class AlarmRuleSerializer(RegistrySerializer):
    """An alarm rule. ``agency``: null for the rules of the administrators, which look at all agencies together."""

    agency = agency(required=False, allow_null=True)
    # What a rule has found is about its kind and agency: for others there is another rule.
    immutable_after_create = ("agency", "kind")

    class Meta:
        model = HarvestRule
        fields = (
            "id", "agency", "kind", "mode", "action", "least", "percent", "factor", "days", "slow_seconds",
            "slow_minutes",
        )  # fmt: skip
        validators: ClassVar[list[Any]] = []


class PastCallerSerializer(serializers.Serializer):  # type: ignore[misc]
    """A caller: its application and the id of its key, 0 for a job that a user started."""

    consumer_agency = serializers.CharField(max_length=63)
    application = serializers.CharField(max_length=63)
    key = serializers.IntegerField(min_value=0, max_value=10**15)


class PastAlarmSerializer(serializers.Serializer):  # type: ignore[misc]
    """What a rule would have found, once a day for an application and a key."""

    consumer_agency = serializers.CharField()
    application = serializers.CharField()
    key = serializers.CharField()
    hour = serializers.DateTimeField(source="found.hour")
    number = serializers.IntegerField(source="found.number")
    usual = serializers.IntegerField(source="found.usual")


class PastStepSerializer(serializers.Serializer):  # type: ignore[misc]
    """What a rule would have found of some callers. ``looked``: how many; ``after``: sent back, it gives the next."""

    alarms = PastAlarmSerializer(many=True)
    looked = serializers.IntegerField()
    after = PastCallerSerializer(allow_null=True)


class AlarmRules(ReadableMixin, WritableMixin, RegistryViewSet):
    """Rules about applications that fetch too much."""

    queryset = HarvestRule.objects.select_related("agency")
    serializer_class = AlarmRuleSerializer
    filters = {
        "agency": ("agency__code", _text), "kind": ("kind", _text), "mode": ("mode", _text),
        "action": ("action", _text),
    }  # fmt: skip

    @extend_schema(parameters=[PastCallerSerializer], responses=PastStepSerializer)
    @action(detail=True, methods=["get"], filter_backends=())
    def past(self, request: Request, pk: str) -> Response:
        """Return what the rule would have found in the last 30 days, as far as some seconds get.

        For the callers behind those that were looked at, send ``after`` as query parameters.
        """
        after = None
        if "application" in request.query_params:
            behind = PastCallerSerializer(data=request.query_params)
            behind.is_valid(raise_exception=True)
            after = tuple(behind.validated_data[name] for name in _CALLER)
        step = past.look_back(self.get_object(), timezone.now(), after)
        following = None if step.after is None else dict(zip(_CALLER, step.after, strict=True))
        body = PastStepSerializer({"alarms": step.alarms, "looked": step.looked, "after": following})
        return Response(body.data)


_CALLER = ("consumer_agency", "application", "key")


class AlarmSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """What a rule found. ``agencies``: whose operations were called. ``action``: what was done, "" in a dry run."""

    kind = serializers.ChoiceField(source="rule.kind", choices=HarvestRule.Kind.choices, read_only=True)
    agencies = serializers.SerializerMethodField()
    incident = serializers.CharField(source="incident.number", read_only=True, allow_null=True, default=None)

    class Meta:
        model = HarvestAlarm
        fields = (
            "id", "rule", "kind", "agency", "consumer_agency", "application", "key", "found_at", "hour", "number",
            "usual", "agencies", "action", "incident",
        )  # fmt: skip
        read_only_fields = fields

    def get_agencies(self, row: HarvestAlarm) -> list[str]:
        return [str(code) for code in row.figures.get("agencies", ())]


class AlarmsPagination(HistoryPagination):
    ordering = ("-found_at", "-id")


class Alarms(ReadableMixin, RegistryViewSet):
    """What alarm rules found."""

    queryset = HarvestAlarm.objects.select_related("rule")
    serializer_class = AlarmSerializer
    pagination_class = AlarmsPagination
    filters = {
        "rule": ("rule", _number), "kind": ("rule__kind", _text), "consumer_agency": ("consumer_agency", _text),
        "application": ("application", _text), "key": ("key", _text), "since": ("found_at__gte", _datetime),
        "until": ("found_at__lt", _datetime),
    }  # fmt: skip

    def get_queryset(self) -> QuerySet[Any]:
        """Return the visible alarms, each with its incident if the user may see that."""
        return super().get_queryset().prefetch_related(Prefetch("incident", incidents.seen_by(self.request.user)))

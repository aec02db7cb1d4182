"""Who looked at a person, in the management API: as on its page (mantra/subject_access)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import Throttled
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from mantra import attempts
from mantra.api.authentication import TokenAuthentication
from mantra.api.parsers import JSONParser
from mantra.api.views import Metadata
from mantra.subject_access import answers
from mantra.subject_access.views import RATE, record


class MayLook(BasePermission):  # type: ignore[misc]
    """Those who may look for a person's records."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return answers.may_look(request.user)


class PersonSerializer(serializers.Serializer):  # type: ignore[misc]
    """``identifier``: such as a NIK. ``before``: only what was before this moment, for the next page."""

    identifier = serializers.CharField(max_length=answers.LENGTH, write_only=True)
    before = serializers.DateTimeField(required=False, allow_null=True, write_only=True)


class HeldTermsSerializer(serializers.Serializer):  # type: ignore[misc]
    purpose = serializers.CharField()
    legal_basis = serializers.CharField()
    agreement = serializers.CharField()
    adopted = serializers.BooleanField()


class EntrySerializer(serializers.Serializer):  # type: ignore[misc]
    """A use of the person's data. ``terms``: what the grant said at that time."""

    at = serializers.DateTimeField()
    request_id = serializers.CharField()
    what = serializers.CharField()
    given = serializers.CharField()
    agency = serializers.CharField()
    operation = serializers.CharField(source="address")
    title = serializers.CharField(source="operation")
    caller_agency = serializers.CharField()
    caller = serializers.CharField()
    terms = HeldTermsSerializer()
    fields_given = serializers.ListField(child=serializers.CharField(), source="fields")
    outcome = serializers.IntegerField()


class AnswerSerializer(serializers.Serializer):  # type: ignore[misc]
    """``subject``: the masked identifier. ``more``: there are older entries."""

    subject = serializers.CharField()
    entries = EntrySerializer(many=True)
    more = serializers.BooleanField()
    made_at = serializers.DateTimeField()


class SubjectAccess(viewsets.ViewSet):  # type: ignore[misc]
    """Who looked at a person. The identifier is sent in the body: addresses are in logs."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)
    permission_classes = (MayLook,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (JSONParser,)
    metadata_class = Metadata

    @extend_schema(request=PersonSerializer, responses=AnswerSerializer)
    def create(self, request: Request) -> Response:
        """Return the calls and jobs about a person, the newest first. The look-up is recorded."""
        person = PersonSerializer(data=request.data)
        person.is_valid(raise_exception=True)
        if not attempts.allowed(answers.LOOK_UP, RATE, request.user.pk):
            raise Throttled(wait=60)
        values = person.validated_data
        answer = answers.about(request.user, values["identifier"], values.get("before"))
        record(request, request.user, answer)
        response = Response(AnswerSerializer(answer).data, status=status.HTTP_200_OK)
        response["Cache-Control"] = "no-store"
        return response

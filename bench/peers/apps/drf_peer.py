"""Django REST framework with the duties of the bus: key, grant and quota in the database, then the rows or the backend.

No middleware, kept connections, streams by a server-side cursor.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import django
import requests
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import models, transaction
from django.http import HttpResponse, StreamingHttpResponse
from known import COLUMNS, DATABASE, DIGEST, FETCH, UPSTREAM
from streams import FORMATS

settings.configure(
    SECRET_KEY=DIGEST,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    INSTALLED_APPS=["rest_framework"],
    USE_TZ=False,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE["dbname"],
            "HOST": DATABASE["host"],
            "PORT": DATABASE["port"],
            "USER": DATABASE["user"],
            "PASSWORD": DATABASE["password"],
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.urls import path  # noqa: E402 (DRF reads the settings when it is imported)
from rest_framework import exceptions, serializers  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import BaseThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Key(models.Model):
    digest = models.CharField(max_length=64, unique=True)
    application = models.CharField(max_length=50)
    active = models.BooleanField()

    class Meta:
        app_label, managed, db_table = "peer", False, "peer_key"


class Grant(models.Model):
    application = models.CharField(max_length=50)
    operation = models.CharField(max_length=50)
    quota = models.BigIntegerField()

    class Meta:
        app_label, managed, db_table = "peer", False, "peer_grant"


class Used(models.Model):
    grant = models.ForeignKey(Grant, models.CASCADE)
    day = models.IntegerField()
    calls = models.BigIntegerField(default=0)

    class Meta:
        app_label, managed, db_table = "peer", False, "peer_used"


class Columns(models.Model):
    nip = models.CharField(max_length=18, primary_key=True)
    nama = models.CharField(max_length=100)
    golongan = models.CharField(max_length=5)
    unit_kerja = models.CharField(max_length=100)
    tmt = models.DateField()
    gaji = models.DecimalField(max_digits=12, decimal_places=2)
    aktif = models.SmallIntegerField()
    lahir = models.DateTimeField()
    email = models.CharField(max_length=100)
    catatan = models.TextField(null=True)

    class Meta:
        app_label, abstract = "peer", True


class Employee(Columns):
    class Meta:
        app_label, managed, db_table = "peer", False, "pegawai"


class Everybody(Columns):
    class Meta:
        app_label, managed, db_table = "peer", False, "pegawai_banyak"


class EmployeeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Employee
        fields = COLUMNS


class ByKey(BaseAuthentication):
    def authenticate(self, request: Any) -> tuple[str, Key]:
        digest = hashlib.sha256(request.headers.get("AccessKey", "").encode()).hexdigest()
        key = Key.objects.filter(digest=digest, active=True).first()
        if key is None:
            raise exceptions.AuthenticationFailed
        return key.application, key

    def authenticate_header(self, request: Any) -> str:
        return "AccessKey"


class ByGrant(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        request.grant = Grant.objects.filter(application=request.user, operation=view.operation).first()
        return request.grant is not None


class ByQuota(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        day = int(time.time()) // 86400
        counter = Used.objects.filter(grant=request.grant, day=day, calls__lt=request.grant.quota)
        if counter.update(calls=models.F("calls") + 1):
            return True
        Used.objects.get_or_create(grant=request.grant, day=day)
        return counter.update(calls=models.F("calls") + 1) == 1


class Guarded(APIView):
    authentication_classes = [ByKey]
    permission_classes = [ByGrant]
    throttle_classes = [ByQuota]


class One(Guarded):
    operation = "pegawai"

    def get(self, request: Any) -> Response:
        found = Employee.objects.filter(nip=request.query_params["nip"])[:10]
        return Response({"data": EmployeeSerializer(found, many=True).data})


def batches() -> Iterator[list[tuple[Any, ...]]]:
    """The million rows by a server-side cursor; the transaction saves PostgreSQL from copying them all first."""
    with transaction.atomic():
        batch: list[tuple[Any, ...]] = []
        for row in Everybody.objects.values_list(*COLUMNS).iterator(chunk_size=FETCH):
            batch.append(row)
            if len(batch) == FETCH:
                yield batch
                batch = []
        if batch:
            yield batch


class Many(Guarded):
    operation = "semua"

    def get(self, request: Any, suffix: str) -> StreamingHttpResponse:
        write, media_type = FORMATS[suffix]
        return StreamingHttpResponse(write(batches()), content_type=media_type)


_held = threading.local()
PIECE = 64 * 1024


def session() -> requests.Session:
    """This thread's own, whose connections are kept; no proxy of the environment is looked for."""
    if not hasattr(_held, "session"):
        _held.session = requests.Session()
        _held.session.trust_env = False
    return _held.session


class Backend(Guarded):
    operation = "alias"

    def get(self, request: Any, rest: str) -> HttpResponse | StreamingHttpResponse:
        answer = session().get(f"{UPSTREAM}/{rest}", headers={"Accept-Encoding": "identity"}, stream=True, timeout=60)
        length, media_type = answer.headers["Content-Length"], answer.headers["Content-Type"]
        if int(length) <= PIECE:
            return HttpResponse(answer.content, status=answer.status_code, content_type=media_type)
        whole = StreamingHttpResponse(answer.raw.stream(PIECE), status=answer.status_code, content_type=media_type)
        whole["Content-Length"] = length
        return whole


urlpatterns = [
    path("pegawai", One.as_view()),
    path("semua.<str:suffix>", Many.as_view()),
    path("alias/<path:rest>", Backend.as_view()),
]
application = get_wsgi_application()

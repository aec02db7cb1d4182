"""Refuses large requests to the admin and the management API before they are read. Calls have a limit of their own."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

#: Where files are sent to → the setting with their bytes: of uploaded tables, of jobs, dumps and logs of MANTRA 1.99x.
#: nginx has these addresses too (deploy/nginx/answers.conf).
UPLOADS = {
    "/manage/api/v1/uploaded-tables/": "MAX_UPLOAD_BYTES",
    "/admin/dataservices/uploadedtable/": "MAX_UPLOAD_BYTES",
    "/admin/reconciliations/": "MAX_UPLOAD_BYTES",
    "/admin/jobs/new/": "MAX_JOB_BYTES",
    "/admin/moving-in/new/": "MAX_LEGACY_DUMP_BYTES",
    "/admin/moving-in/again/": "MAX_LEGACY_DUMP_BYTES",
    "/admin/moving-in/compare/": "MAX_LEGACY_DUMP_BYTES",
}
_API = "/manage/api/"


class BodyLimitMiddleware:
    """Returns 413 if the request states a body of more than settings.DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Where files become tables it may have settings.MAX_UPLOAD_BYTES more, where they become jobs
    settings.MAX_JOB_BYTES, where a dump or a log of MANTRA 1.99x is uploaded settings.MAX_LEGACY_DUMP_BYTES. Files are
    kept on a disk, not in memory.

    Django reads no more of a body than its stated length, so that there is no other way to send more.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        stated = request.META.get("CONTENT_LENGTH") or "0"
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not stated.isdecimal() or int(stated[:20]) <= limit:
            return self.get_response(request)
        limit += _upload_limit(request)
        if int(stated[:20]) <= limit:
            return self.get_response(request)
        message = _("The request is larger than %(size)d bytes. Send less at once.") % {"size": limit}
        if request.path.startswith(_API):
            return JsonResponse({"detail": message}, status=413)
        return HttpResponse(f"{message}\n", status=413, content_type="text/plain; charset=utf-8")


def _upload_limit(request: HttpRequest) -> int:
    """Return the most bytes of a file that the request may have, 0 if it is no upload.

    Pages are read before the view knows the user; the API after.
    """
    for address, setting in UPLOADS.items():
        if request.path.startswith(address) and (address.startswith(_API) or SESSION_KEY in request.session):
            limit: int = getattr(settings, setting)
            return limit
    return 0

"""Refuses large requests to the admin and the management API before they are read. Calls have a limit of their own."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

# Where files of uploaded tables, of jobs and of MANTRA 1.99x are sent to.
_API, _JOBS = "/manage/api/v1/uploaded-tables/", ("/admin/jobs/new/",)
_PAGES = ("/admin/dataservices/uploadedtable/", "/admin/reconciliations/")
_MOVING_IN = ("/admin/moving-in/new/", "/admin/moving-in/again/", "/admin/moving-in/compare/")
#: All of them. nginx has these addresses too (deploy/nginx/answers.conf).
UPLOADS = (_API, *_JOBS, *_PAGES, *_MOVING_IN)


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
        if request.path.startswith("/manage/api/"):
            return JsonResponse({"detail": message}, status=413)
        return HttpResponse(f"{message}\n", status=413, content_type="text/plain; charset=utf-8")


def _upload_limit(request: HttpRequest) -> int:
    """Return the most bytes of a file that the request may have, 0 if it is no upload.

    Pages are read before the view knows the user; the API after.
    """
    if request.path.startswith(_API):
        return settings.MAX_UPLOAD_BYTES
    for pages, limit in (
        (_PAGES, settings.MAX_UPLOAD_BYTES),
        (_JOBS, settings.MAX_JOB_BYTES),
        (_MOVING_IN, settings.MAX_LEGACY_DUMP_BYTES),
    ):
        if request.path.startswith(pages) and SESSION_KEY in request.session:
            return limit
    return 0

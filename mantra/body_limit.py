"""Refuses large requests to the admin and the management API before they are read. Calls have a limit of their own."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

#: Where the files of uploaded tables are sent to. nginx has these addresses too (deploy/nginx/answers.conf).
_API = "/manage/api/v1/uploaded-tables/"
_PAGES = ("/admin/dataservices/uploadedtable/", "/admin/reconciliations/")


class BodyLimitMiddleware:
    """Returns 413 if the request states a body of more than settings.DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Where files become tables it may have settings.MAX_UPLOAD_BYTES more. Django keeps them on a disk, not in memory.

    Django reads no more of a body than its stated length, so that there is no other way to send more.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        stated = request.META.get("CONTENT_LENGTH") or "0"
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not stated.isdecimal() or int(stated[:20]) <= limit:
            return self.get_response(request)
        if _may_upload(request):
            limit += settings.MAX_UPLOAD_BYTES
            if int(stated[:20]) <= limit:
                return self.get_response(request)
        message = _("The request is larger than %(size)d bytes. Send less at once.") % {"size": limit}
        if request.path.startswith("/manage/api/"):
            return JsonResponse({"detail": message}, status=413)
        return HttpResponse(f"{message}\n", status=413, content_type="text/plain; charset=utf-8")


def _may_upload(request: HttpRequest) -> bool:
    """Return True if the request may be an upload. Pages are read before the view knows the user; the API after."""
    return request.path.startswith(_API) or (request.path.startswith(_PAGES) and SESSION_KEY in request.session)

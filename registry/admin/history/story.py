"""A call in a sentence: who called what, when, and how it ended; and who must act on it."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from registry import faults, outcome_words, tenancy
from registry.admin.history.related import Related
from registry.models import CallRecord
from registry.moments import moment

#: Protocol of the record of what a user saw → what that was (registry/journal/viewing.py).
LOOKS: dict[str, Any] = {
    "subject": gettext_lazy("look-up of a person"),
    "samples": gettext_lazy("samples"),
    "export": gettext_lazy("download of an export"),
    "agreement": gettext_lazy("agreement file"),
    "leaked-key": gettext_lazy("look-up of a leaked key"),
    "key-use": gettext_lazy("look at the use of a key"),
    "results": gettext_lazy("results on a page"),
    "upload": gettext_lazy("preview of a file"),
    "unsaved": gettext_lazy("unsaved query"),
}

#: A duration from which on it is told in seconds.
SECOND_US = 1_000_000
#: The first HTTP status of an error, and of one that is the server's.
ERROR, SERVER_ERROR = 400, 500


def sentence(about: Related) -> str:
    """Return what happened, as a sentence."""
    record = about.record
    words: dict[str, Any] = {
        "who": caller(about),
        "what": called(about),
        "moment": moment(about.record.started_at),
        "end": end(about),
    }
    if record.protocol in LOOKS:
        return _capital(_("%(who)s, %(moment)s: %(view)s; %(end)s.") % {**words, "view": LOOKS[record.protocol]})
    template = {
        "tryout": _("%(who)s tried %(what)s in the admin on %(moment)s; %(end)s."),
        "browse": _("%(who)s viewed tables of %(what)s on %(moment)s; %(end)s."),
        "explain": _("%(who)s viewed the execution plan of %(what)s on %(moment)s; %(end)s."),
        "matching": _("%(who)s read %(what)s for a reconciliation on %(moment)s; %(end)s."),
        "own-read": _("%(who)s read %(what)s for a reconciliation on %(moment)s; %(end)s."),
        "rehearsal": _("%(who)s compared responses of %(what)s on %(moment)s; %(end)s."),
        "oauth2": _("%(who)s requested an access token on %(moment)s; %(end)s."),
        "job": _("%(who)s had a job of %(what)s on %(moment)s; %(end)s."),
    }.get(record.protocol, _("%(who)s called %(what)s on %(moment)s; %(end)s."))
    return _capital(template % words)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def duration(record: CallRecord) -> str:
    """Return how long a call took, "" as long as it has not ended."""
    if record.duration_us is None:
        return ""
    if record.duration_us < SECOND_US:
        return f"{number_format(record.duration_us / 1000, 1)} ms"
    return _("%(number)s seconds") % {"number": number_format(record.duration_us / SECOND_US, 1)}


# -------------------------------------------------------------------------------------- who and what


def caller(about: Related) -> str:
    """Return who called: the application with its agency, or the user of a page."""
    record = about.record
    if record.application:
        words = {
            "application": about.application.title if about.application is not None else record.application,
            "agency": about.agencies.get(record.consumer_agency, record.consumer_agency),
        }
        if record.user and tenancy.may_see_person(about.viewer, record):
            words["user"] = record.user
            return _("the user %(user)s as the application %(application)s (%(agency)s)") % words
        if words["application"].lower().startswith(_("application")):  # many begin with this word
            return f"{words['application']} ({words['agency']})"
        return _("the application %(application)s (%(agency)s)") % words
    if record.user:
        return _("the user %(user)s") % {"user": record.user}
    kind = faults.TABLE.get(record.outcome)
    return _("a caller without a known access key") if kind is not None else _("a caller without an access key")


def called(about: Related) -> str:
    """Return what was called: the operation with its agency, or what the address named."""
    record = about.record
    agency = about.agencies.get(record.agency, record.agency)
    if about.operation is not None and about.operation.title:
        return f"{about.operation.title} ({agency}, {record.service}/{record.operation})"
    codes = "/".join(part for part in (record.agency, record.service, record.operation) if part)
    if record.protocol == "browse":
        return _("the source %(name)s") % {"name": codes}
    if record.operation:
        return _("the operation %(name)s") % {"name": codes}
    if record.service:
        return _("the description of the service %(name)s") % {"name": codes}
    return _("an address of no operation")


def origin(about: Related) -> str:
    """Return the source or backend that was asked, with its name if the viewer may know it; "" if none was."""
    record = about.record
    if record.origin_kind == "source":
        return _("the source %(name)s") % {"name": record.origin} if _named(about) else _("the provider's source")
    if record.origin_kind != "backend":
        return ""
    if not _named(about):
        return _("the provider's upstream")
    if about.server is None:
        return _("the upstream %(name)s") % {"name": record.origin}
    return _("the upstream %(name)s, %(url)s") % {"name": record.origin, "url": about.server.url}


def _named(about: Related) -> bool:
    return tenancy.may_see_origin(about.viewer, about.record)


# --------------------------------------------------------------------------------------- how it ended


def end(about: Related) -> str:
    """Return how the call ended, as the second half of the sentence."""
    record = about.record
    words = {"duration": duration(record), "status": record.status, "size": filesizeformat(record.bytes or 0)}
    if record.outcome == outcome_words.IN_PROGRESS:
        return _("it is in progress, or its end is not in the history yet")
    if record.outcome in faults.TABLE:
        return _fault(about, words)
    if record.broken:
        return _("its response was aborted after %(duration)s and %(size)s") % words
    words["origin"] = origin(about) or _("MANTRA")
    if (record.status or 0) >= ERROR:
        return _("%(origin)s responded with status %(status)s after %(duration)s, which was passed on") % words
    if record.rows is None:
        return _("it succeeded: %(origin)s responded with %(size)s within %(duration)s") % words
    words["rows"] = _rows(record.rows)
    return _("it succeeded: %(origin)s responded with %(rows)s, %(size)s within %(duration)s") % words


def _rows(number: int) -> str:
    return ngettext("%(number)s row", "%(number)s rows", number) % {"number": number_format(number)}


def _fault(about: Related, words: dict[str, Any]) -> str:
    words["reason"] = outcome_words.sentence(about.record.outcome)
    asked = origin(about) if faults.TABLE[about.record.outcome].party == "provider" else ""
    if asked:
        words["reason"] += f" ({asked})"
    if about.record.status is None:
        return str(words["reason"])
    if not words["duration"]:
        return _("%(reason)s, so MANTRA responded with status %(status)s") % words
    return _("%(reason)s, so MANTRA responded with status %(status)s after %(duration)s") % words


# -------------------------------------------------------------------------------------- who must act


def advice(about: Related) -> str:
    """Return who must act, and what to do; "" if nobody must."""
    record = about.record
    kind = faults.TABLE.get(record.outcome)
    words = {"id": record.request_id, "contact": _contact(about)}
    if kind is None:
        failed = (record.status or 0) >= SERVER_ERROR
        return _provider(about, words) if failed else _aborted() if record.broken else ""
    if kind.party == "provider":
        return _provider(about, words)
    if kind.party == "bus":
        return _("The operator of MANTRA must act. Report the request id %(id)s to them.") % words
    if record.application and _of(about, record.consumer_agency):
        return _(
            "Your agency must act: “Why was this call refused?” says what to change in the program or the request."
        )
    return _("The caller must act. “Why was this call refused?” says what there is to change.")


def _provider(about: Related, words: dict[str, str]) -> str:
    if _of(about, about.record.agency):
        return _("Your agency must act: look at the state of the source or backend, and at its last error.")
    if tenancy.sees_all_agencies(about.viewer):
        return _("The providing agency must act: %(contact)s.") % words
    return _("The providing agency must act. Report the request id %(id)s to %(contact)s.") % words


def _aborted() -> str:
    return _(
        "The connection was lost, or the caller took the response too slowly. If it happens again, check the caller."
    )


def _contact(about: Related) -> str:
    agency = about.agencies.get(about.record.agency, about.record.agency)
    contact = about.operation.service.contact if about.operation is not None else ""
    return f"{agency} ({contact})" if contact else agency


def _of(about: Related, agency: str) -> bool:
    return about.viewer.agency is not None and about.viewer.agency.code == agency

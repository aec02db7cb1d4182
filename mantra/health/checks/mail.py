"""Whether e-mail goes out: what waits in the outbox, since when, and why."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Min, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra.health.findings import Finding, State
from registry.models import OutboxMessage
from registry.notifications import mail_is_configured, problems

AREA = "mail"
#: How long an e-mail may wait, and for which e-mails that were given up are spoken of.
LATE, RECENT = timedelta(minutes=15), timedelta(days=1)


def check() -> list[Finding]:
    """Return the state of the outbox."""
    if not mail_is_configured():
        advice = _("Set MANTRA_SMTP_HOST if people should get e-mail.")
        return [Finding(AREA, _name(), "unknown", _("No mail server is set: people are notified here only."), advice)]
    return [_waiting(), *_failed()]


def _name() -> str:
    return _("outgoing e-mail")


def _waiting() -> Finding:
    rows = OutboxMessage.objects.filter(state=OutboxMessage.State.WAITING).order_by()
    found = rows.aggregate(number=Count("pk"), oldest=Min("created_at"))
    number, oldest = found["number"], found["oldest"]
    words = ngettext("%(number)d e-mail waits", "%(number)d e-mails wait", number) % {"number": number}
    if not number:
        return Finding(AREA, _name(), "well", words, url=_outbox())
    refused = [key for key in _keys(rows) if problems.PROBLEMS[key].scope == problems.Scope.SERVER]
    late = timezone.now() - oldest > LATE
    state: State = "ill" if refused else "warn" if late else "well"
    sentence = f"{words}. {problems.sentence(refused[0])}" if refused else words
    advice = _("See whether the worker runs.") if late and not refused else ""
    return Finding(AREA, _name(), state, sentence, advice, oldest, url=_outbox())


def _keys(rows: QuerySet[OutboxMessage]) -> list[str]:
    """Return the problems of e-mails that wait, the first of those that are due next first."""
    keys = rows.exclude(problem="").order_by("due_at", "id").values_list("problem", flat=True)[:20]
    return [key for key in keys if key in problems.PROBLEMS]


def _failed() -> list[Finding]:
    since = timezone.now() - RECENT
    rows = OutboxMessage.objects.filter(state=OutboxMessage.State.FAILED, created_at__gte=since).order_by("-created_at")
    number = rows.count()
    if not number:
        return []
    words = ngettext(
        "%(number)d e-mail of the last day was given up", "%(number)d e-mails of the last day were given up", number
    ) % {"number": number}  # fmt: skip
    sentence = f"{words}. {problems.sentence(rows[0].problem)}"
    return [
        Finding(AREA, _("e-mail that was given up"), "warn", sentence, since=rows[0].created_at, url=_outbox("failed"))
    ]


def _outbox(state: str = "waiting") -> str:
    return reverse("admin:registry_outboxmessage_changelist") + f"?state__exact={state}"

"""The keys of the settings: whether they open what is stored, and prove what is written."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mantra import stored_secrets
from mantra.health.findings import Finding
from registry.journal import reader
from registry.journal.chain import link

AREA = "secrets"


def check() -> list[Finding]:
    """Return whether MANTRA_FIELD_KEYS and MANTRA_KEY_PEPPERS fit the database. Raises what the database raises."""
    return [_field_keys(), *_old_field_keys(), _peppers()]


def _field_keys() -> Finding:
    sealed = stored_secrets.opened().sealed
    if not sealed:
        return Finding(AREA, "MANTRA_FIELD_KEYS", "well", _("all stored secrets can be read"))
    number = sealed.total()
    words = ngettext("%(number)d stored secret cannot be read", "%(number)d stored secrets cannot be read", number)
    words = f"{words % {'number': number}} ({', '.join(sorted(sealed))})"
    advice = _("Add the old key at the end of the list, restart, and run manage.py rotate_secrets.")
    return Finding(AREA, "MANTRA_FIELD_KEYS", "ill", words, advice)


def _old_field_keys() -> Iterator[Finding]:
    """Yield a finding about old keys: while one is needed, or after, when it can go."""
    old = settings.FIELD_KEYS[1:]
    if not old:
        return
    if stored_secrets.opened().keys & set(old):
        sentence = _("Some secrets are still encrypted with an old key.")
        yield Finding(AREA, _("old field keys"), "warn", sentence, _("Run manage.py rotate_secrets."))
    else:
        sentence = _("No secret needs an old key any more.")
        yield Finding(AREA, _("old field keys"), "warn", sentence, _("Remove the old ones from MANTRA_FIELD_KEYS."))


def _peppers() -> Finding:
    known = {number for number, _pepper in settings.KEY_PEPPERS}
    lost = {number: count for number, count in stored_secrets.peppers().items() if number not in known}
    if not lost:
        return Finding(AREA, "MANTRA_KEY_PEPPERS", "well", _("all access keys and API tokens can be checked"))
    count = sum(lost.values())
    words = ngettext(
        "%(count)d key or token needs a pepper that is missing: %(numbers)s",
        "%(count)d keys or tokens need a pepper that is missing: %(numbers)s", count,
    ) % {"count": count, "numbers": ", ".join(map(str, sorted(lost)))}  # fmt: skip
    return Finding(AREA, "MANTRA_KEY_PEPPERS", "ill", words, _("Put the old pepper back, or issue new keys."))


def journal_key() -> list[Finding]:
    """Return whether the newest segment was written with MANTRA_JOURNAL_KEY. Raises OSError."""
    for path in reversed(reader.segments()):
        first = next(reader.lines(path), None)
        if first is not None:
            name = path.name.encode()
            fits = link(settings.JOURNAL_KEY, name, first.chained(name)) == first.chain
            return [_of_journal(fits)]
    return []


def _of_journal(fits: bool) -> Finding:
    if fits:
        return Finding(AREA, "MANTRA_JOURNAL_KEY", "well", _("it is the key of the newest segment"))
    sentence = _("The newest segment was written with another key, or was changed.")
    return Finding(AREA, "MANTRA_JOURNAL_KEY", "ill", sentence, _("Put the key back, then run manage.py verify_audit."))

"""What would be the case for calls of an application: its grant and its keys, judged for an address.

It decides nothing and calls nothing: admission (mantra/gateway/admission.py) judges real calls by the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from mantra.tryout import rules
from mantra.tryout.rules import Links
from registry.models import AccessKey, Application, Field, Grant, Operation, User, names
from registry.moments import day, moment

#: The most keys that are judged: an application has two, and those of MANTRA 1.99x.
MOST = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and whether calls would be admitted by what it says; None if that depends on their address."""

    ok: bool | None
    sentence: str
    links: Links = ()


def findings(viewer: User, application: Application, operation: Operation, address: str) -> list[Finding]:
    """Return what holds now for calls of an application from an address; "" if no address is to be judged."""
    return [
        grant_finding(viewer, application, operation, address),
        *key_findings(viewer, application, operation, address),
    ]


def grant_finding(viewer: User, application: Application, operation: Operation, address: str) -> Finding:
    grant = Grant.objects.select_related("application__agency", "operation__service__agency")
    found = grant.filter(application=application, operation=operation.pk).first()
    if operation.access == Operation.Access.OPEN:
        return Finding(True, _("The operation is open: it needs neither a key nor a grant."))
    asking = rules.request_pages(viewer, application, operation)
    if found is None:
        return Finding(False, rules.grant_missing(str(application), operation.address), asking)
    links = rules.row_page(viewer, rules.grant_label(), found)
    refusal = _refusal_of_grant(found, address)
    if refusal:
        return Finding(False, refusal, links + asking)
    return Finding(_judged(found.networks, address), " ".join(_terms(found, address)), links)


def _refusal_of_grant(grant: Grant, address: str) -> str:
    today = timezone.localdate()
    if grant.state == Grant.State.REVOKED:
        return rules.grant_revoked(grant)
    if grant.valid_from and today < grant.valid_from:
        return rules.grant_not_begun(grant)
    if grant.valid_until and today > grant.valid_until:
        return rules.grant_ended(grant)
    return rules.grant_network(grant, address) if rules.is_outside(grant.networks, address) else ""


def _terms(grant: Grant, address: str) -> list[str]:
    """Return the sentences about a grant that is in force."""
    said = [_("The grant is in force.")]
    if grant.valid_until:
        said.append(_("It is valid until %(day)s.") % {"day": day(grant.valid_until)})
    if grant.fields:
        said.append(_("It allows these columns only: %(fields)s.") % {"fields": rules.joined(grant.fields)})
    if masks := grant.effective_masks:
        labels = dict(Field.Mask.choices)
        text = ", ".join(f"{name} ({labels.get(kind, kind)})" for name, kind in masks.items())
        said.append(_("It masks these columns: %(fields)s.") % {"fields": text})
    if missing := grant.missing_values:
        said.append(_("Calls are refused until it has these values: %(names)s.") % {"names": ", ".join(missing)})
    if unlawful := grant.unlawful_fields:
        text = _("No legal basis is stated, so these columns are left out: %(names)s.")
        said.append(text % {"names": ", ".join(unlawful)})
    if grant.quota:
        said.append(_("Its quota is %(quota)s.") % {"quota": grant.quota})
    said += _networks(grant.networks, address)
    return said


def _networks(listed: str, address: str) -> list[str]:
    """Return the sentence about networks that do not exclude an address."""
    if not names(listed):
        return []
    if address:
        return [_("The address %(address)s is in its networks.") % {"address": address}]
    return [
        _("It is valid from %(networks)s only.") % {"networks": rules.joined(listed)},
        _("Enter the server's address to have it judged."),
    ]


def _judged(listed: str, address: str) -> bool | None:
    """Return True for what is in force; None if that depends on an address that was not entered."""
    return True if address or not names(listed) else None


def key_findings(viewer: User, application: Application, operation: Operation, address: str) -> list[Finding]:
    """Return what holds for each of an application's keys that are not revoked."""
    fitting = Q(operation=None) | Q(operation=operation.pk)
    rows = AccessKey.objects.filter(fitting, application=application, revoked_at=None).select_related(
        "operation", "application__agency"
    )
    keys = list(rows.order_by("-created_at")[:MOST])
    if not keys:
        words = {"application": str(application)}
        sentence = _("%(application)s has no access key. Programs need one to call.") % words
        return [Finding(False, sentence, rules.key_pages(viewer, application))]
    return [_key_finding(viewer, application, key, address) for key in keys]


def _key_finding(viewer: User, application: Application, key: AccessKey, address: str) -> Finding:
    if not key.is_active:
        return Finding(False, rules.key_expired(key), rules.key_pages(viewer, application, key))
    if rules.is_outside(key.networks, address):
        return Finding(False, rules.key_network(key, address), rules.key_pages(viewer, application, key))
    if key.application.signing_required and not key.signs:
        return Finding(False, rules.key_unsigned(key), rules.key_pages(viewer, application, key))
    said = [_("The access key %(key)s is valid.") % {"key": key.public}]
    if key.expires_at:
        said.append(_("It expires on %(moment)s.") % {"moment": moment(key.expires_at)})
    said += _networks(key.networks, address)
    return Finding(_judged(key.networks, address), " ".join(said), rules.row_page(viewer, rules.key_label(), key))

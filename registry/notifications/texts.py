"""The messages that the bus comes with, in English; the catalogue has the Indonesian ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from registry.models import Event


@dataclass(frozen=True, slots=True)
class Text:
    """A subject, which the bell shows too, and the text of an e-mail, with placeholders such as {operation}."""

    subject: Any
    body: Any


TEXTS: dict[Event, Text] = {
    Event.REQUEST_SUBMITTED: Text(
        _("{agency} requests access to {service}"),
        _(
            "{agency} requests access for its application {application} to:\n\n{operations}\n\n"
            "Read the purpose and decide:\n{link}"
        ),
    ),
    Event.REQUEST_QUESTION: Text(
        _("A question about your access request {number}"),
        _(
            "The provider of {service} has a question about the access request {number} of your application "
            "{application}.\n\nRead the question and respond:\n{link}"
        ),
    ),
    Event.REQUEST_ANSWERED: Text(
        _("{agency} has responded to the question about access request {number}"),
        _(
            "{agency} has responded to the question about its access request {number} for {service}.\n\n"
            "Read the response and decide:\n{link}"
        ),
    ),
    Event.REQUEST_CONFIRM: Text(
        _("An approval for {agency} must be confirmed: access request {number}"),
        _(
            "A colleague has approved access of the application {application} of {agency} to specific personal data of "
            "{service}. A second person must confirm it.\n\nRead the purpose and decide:\n{link}"
        ),
    ),
    Event.REQUEST_APPROVED: Text(
        _("Access is granted: your access request {number}"),
        _(
            "Your application {application} may now call:\n\n{operations}\n\nValid until: {until}\n\n"
            "The page of the request says what was approved and how to get an access key:\n{link}"
        ),
    ),
    Event.REQUEST_REJECTED: Text(
        _("Your access request {number} is rejected"),
        _(
            "The access request {number} of your application {application} for {service} is rejected.\n\n"
            "Read the reason:\n{link}"
        ),
    ),
    Event.REQUEST_WITHDRAWN: Text(
        _("{agency} has withdrawn its access request {number}"),
        _("{agency} has withdrawn its access request {number} for {service}. You need not decide any more.\n\n{link}"),
    ),
    Event.GRANT_REVOKED: Text(
        _("The grant for {operation} is revoked"),
        _(
            "Your application {application} may no longer call {operation}. Its calls are refused from now on.\n\n"
            "Read more:\n{link}"
        ),
    ),
    Event.GRANT_CHANGED: Text(
        _("The grant for {operation} has changed"),
        _(
            "The provider has changed what your application {application} may do with {operation}.\n\n"
            "Valid until: {until}\n\nRead more:\n{link}"
        ),
    ),
    Event.GRANT_ENDING: Text(
        _("The grant for {operation} ends in {days} day(s)"),
        _(
            "The grant of your application {application} for {operation} ends after {until}. Calls are refused from "
            "then on.\n\nRequest its renewal in time:\n{link}"
        ),
    ),
    Event.KEY_ENDING: Text(
        _("An access key of {application} expires in {days} day(s)"),
        _(
            "The access key of your application {application} that begins with {key} expires on {until}. Calls with "
            "it are refused from then on.\n\nIssue a new key, and revoke this one when the application uses the new "
            "one:\n{link}"
        ),
    ),
    Event.KEY_NEW_NETWORK: Text(
        _("An access key of {application} was used from a new network: {network}"),
        _(
            "The access key of your application {application} that begins with {key} was used from {networks} "
            "network(s) from which it was not used in the last 90 days. The latest is {network}.\n\nIf your "
            "application runs there now, say so on the page of the key. If not, the key is in the wrong hands: revoke "
            "it there.\n{link}"
        ),
    ),
    Event.KEY_LEAKED: Text(
        _("An access key of {application} was reported as leaked"),
        _(
            "A user has found the access key of your application {application} that begins with {key} where it "
            "should not be, and reported it.\n\nIssue a new key for the application, and revoke this one. The page "
            "shows what the key opens, and from where it was used:\n{link}"
        ),
    ),
    Event.PUBLISH_REQUESTED: Text(
        _("Approval is requested to publish {operation}"),
        _(
            "A colleague wants to publish {operation}, which has personal data. A second person must approve.\n\n"
            "Read the reason and decide:\n{link}"
        ),
    ),
    Event.PUBLISH_DECIDED: Text(
        _("Your request to publish {operation} is decided"),
        _("Your request to publish {operation}: {outcome}.\n\nRead more:\n{link}"),
    ),
    Event.OPERATION_CHANGED: Text(
        _("{operation} has changed: version {version}"),
        _(
            "The provider has published version {version} of {operation}, which your application calls.\n\n"
            "Read what has changed:\n{link}"
        ),
    ),
    Event.OPERATION_DEPRECATED: Text(
        _("{operation} will be retired"),
        _(
            "The provider will retire {operation}, which your application calls. Last day: {until}\n\n"
            "Read what replaces it:\n{link}"
        ),
    ),
    Event.OPERATION_RETIRED: Text(
        _("{operation} is retired"),
        _("The provider has retired {operation}. Calls of your application are refused from now on.\n\n{link}"),
    ),
    Event.BACKEND_ILL: Text(
        _("The backend {backend} has a problem"),
        _("At least one server of the backend {backend} does not respond as it should.\n\nSee why:\n{link}"),
    ),
    Event.BACKEND_WELL: Text(
        _("The backend {backend} works again"),
        _("All servers of the backend {backend} respond again.\n\n{link}"),
    ),
    Event.SOURCE_ILL: Text(
        _("The data source {source} cannot be reached"),
        _("The bus gets no connection to the data source {source}.\n\nSee why:\n{link}"),
    ),
    Event.SOURCE_WELL: Text(
        _("The data source {source} works again"),
        _("The bus gets connections to the data source {source} again.\n\n{link}"),
    ),
    Event.SERVER_ILL: Text(
        _("The bus needs attention: {area}"),
        _("The bus itself needs attention: {area}.\n\nThe health board says what is wrong and what to do:\n{link}"),
    ),
    Event.SERVER_WELL: Text(
        _("The bus is in order again: {area}"),
        _("This is in order again: {area}.\n\n{link}"),
    ),
    Event.JOURNAL_HEAD: Text(
        _("Head {number} of the MANTRA journal"),
        _(
            "Keep this e-mail. It proves what the journal of MANTRA had when it was sent.\n\nHead: {number}\n"
            "SHA-256: {digest}\n\nThe head itself:\n{link}"
        ),
    ),
    Event.QUOTA_ALARM: Text(
        _("{application} has used {percent} % of its quota for {operation}"),
        _(
            "Your application {application} has used {percent} % of its quota of {quota} for {operation}. Calls beyond "
            "the quota are refused.\n\nSee the calls, and request a larger quota if you need one:\n{link}"
        ),
    ),
    Event.HARVEST_ALARM: Text(
        _("{application} fetches data unusually: {rule}"),
        _(
            "The application {application} fetches data in a way that it has not before.\n\nWhat was found: {rule}\n"
            "Counted in an hour: {rows}\nAccess key: {key}\n\nIt may be a stolen key, or a program with an error. See "
            "its calls, and ask its agency:\n{link}"
        ),
    ),
    Event.VERIFICATION_LOCKED: Text(
        _("{application} was locked out of {operation}"),
        _(
            "The application {application} sent too many values that did not agree to {operation}: {calls} calls were "
            "refused in the last hour, because the keys they are about are locked. It may be a guesser, or a program "
            "with an error.\n\nSee its calls, ask its agency, and revoke the grant if it goes on:\n{link}"
        ),
    ),
    Event.CALLS_STOPPED: Text(
        _("Stopped: {what}"),
        _(
            "Calls were stopped to protect data: {what}. They are refused until the stop is released.\n\n"
            "See who has stopped it, and since when:\n{link}"
        ),
    ),
    Event.CALLS_RELEASED: Text(
        _("Released: {what}"),
        _("The stop was released: {what}. Calls are served again.\n\n{link}"),
    ),
    Event.UNDECLARED_DATA: Text(
        _("Personal data left {operation} that nobody declared: {data}"),
        _(
            "Responses of {operation} had personal data in columns that are not classified so: {data}. Calls: "
            "{calls}.\n\nSee the columns, and classify them, or have MANTRA cover the data:\n{link}"
        ),
    ),
    Event.JOB_ENDED: Text(
        _("A job of {application} has ended: {done} of {rows} rows"),
        _(
            "The job of your application {application} for {operation} has ended.\n\nRows: {rows}\nDone: {done}\n"
            "Found: {found}\nWith a fault, or not run: {failed}\n\nThe page of the job has the results, as long as "
            "they are kept:\n{link}"
        ),
    ),
    Event.MONTHLY_REPORT: Text(
        _("The monthly report of {agency} is ready: {month}"),
        _(
            "MANTRA has made the report of {agency} for {month}: how many calls there were, how well they were "
            "answered, and what personal data left.\n\nSign in and download it:\n{link}\n\nThe file is kept for 31 "
            "days. You can have it made again at any time."
        ),
    ),
    Event.RECONCILED: Text(
        _("The reconciliation {reconciliation} has ended: {outcome}"),
        _(
            "MANTRA has compared the two lists of the reconciliation {reconciliation} as its schedule says: "
            "{outcome}.\n\nSign in and see the result:\n{link}"
        ),
    ),
    Event.SYNC_FAILED: Text(
        _("The synchronisation {synchronization} has failed"),
        _(
            "The last run of the synchronisation {synchronization} has failed: its table may be out of date.\n\n"
            "See why, and what to do:\n{link}"
        ),
    ),
    Event.INVITATION: Text(
        _("An invitation to MANTRA"),
        _(
            "You are invited to work with MANTRA for {agency}. Open this link within {days} day(s) and choose a "
            "password:\n\n{link}\n\nThe link is for you alone. If you did not expect it, ignore this e-mail."
        ),
    ),
    Event.PASSWORD_RESET: Text(
        _("Choose a new password for MANTRA"),
        _(
            "A new password was requested for your account. Open this link and choose one:\n\n{link}\n\nThe link is "
            "for you alone. If you did not request it, ignore this e-mail: your password stays as it is."
        ),
    ),
    Event.PASSWORD_CHANGED: Text(
        _("Your password for MANTRA was changed"),
        _(
            "The password of your account was changed. If that was not you, inform an administrator of the bus "
            "immediately.\n\n{link}"
        ),
    ),
}

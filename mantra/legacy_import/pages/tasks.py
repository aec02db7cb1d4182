"""What a person must do after an import: the kinds of remarks in groups, each with what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mantra.legacy_import.translating.remarks import Kind, Severity


@dataclass(frozen=True, slots=True)
class Group:
    """Remarks about which the same is to be done. ``page``: where, the name of its address; "" for the rows' own."""

    name: str
    title: Any
    advice: Any
    kinds: frozenset[Kind]
    page: str = ""


_PROGRAMS = frozenset(kind for kind in Kind if kind.name.startswith("PROGRAM")) | {Kind.UNKNOWN_KIND}
_REFUSED = frozenset(kind for kind in Kind if kind.severity == Severity.REFUSED)
GROUPS: tuple[Group, ...] = (
    Group(
        "hosts", _("The address of the old server"),
        _("These definitions say “localhost”, which is the old server. Enter its address and repeat the run."),
        frozenset((Kind.LOCALHOST,)),
    ),
    Group(
        "connections", _("Connections to complete or check"),
        _("Open the operation, follow the link to its data source or backend, complete it and test the connection."),
        frozenset((
            Kind.MISSING_SETTING, Kind.NAMED_INSTANCE, Kind.SQLSERVER_OR_SYBASE, Kind.UNUSUAL_PORT, Kind.PORT_TWICE,
            Kind.PORT_UNUSABLE, Kind.PASSWORD_LOST, Kind.ORACLE_NAME, Kind.TNS_NAME, Kind.CREDENTIAL_UNUSABLE,
            Kind.NO_ENDPOINT,
        )),
        "admin:dataservices_datasource_changelist",
    ),
    Group(
        "accounts", _("Database accounts with every right"),
        _("Ask the database's administrator for an account that can only read, and enter it in the data source."),
        frozenset((Kind.POWERFUL_ACCOUNT,)), "admin:dataservices_datasource_changelist",
    ),
    Group(
        "programs", _("Programs"),
        _("Each is a draft with the text of its program. Write its SQL, try it, then publish it."), _PROGRAMS,
    ),
    Group(
        "definitions", _("Drafts to check"),
        _("Open each draft, check what the report says, try it, then publish it."),
        frozenset((
            Kind.VALUE_LOST, Kind.LIMIT_UNCLEAR, Kind.CONDITIONS_IGNORED, Kind.CONDITION_UNCLEAR, Kind.COLUMN_TWICE,
            Kind.QUESTION_MARK, Kind.QUALIFIED_TABLE, Kind.SQL_REFUSED, Kind.ENDPOINT_QUERY, Kind.REQUEST_UNCLEAR,
            Kind.NAMES_BY_CASE, Kind.SOAP_PATH,
        )),
    ),
    Group(
        "passwords", _("Users without a password"),
        _(
            "Tell them to press “Forgotten your password?” on the sign-in page, which sends a link by e-mail; or open "
            "each user, enter the e-mail address, and send a link for a new password."
        ),
        frozenset((Kind.PASSWORD_RESET,)), "admin:registry_user_changelist",
    ),
    Group(
        "users", _("Users to complete"),
        _("Open each user: activate administrators that you know, and enter the agency, role or e-mail address."),
        frozenset((Kind.EMAIL_TAKEN, Kind.ROLE_NEEDS_AGENCY, Kind.ADMINISTRATOR_INACTIVE)),
        "admin:registry_user_changelist",
    ),
    Group(
        "keys", _("Keys to issue again"),
        _("These keys are not taken as they were. Issue a new key for the application, and give it to its users."),
        frozenset((Kind.KEY_UNUSABLE, Kind.KEY_OF_OTHERS, Kind.USER_WITHOUT_AGENCY)),
    ),
    Group(
        "callers", _("Callers who must change something"),
        _("Old addresses or parameters with these names do not work any more. Tell those who call them."),
        frozenset((Kind.NAME_LOST, Kind.PARAMETER_NAME_LOST)),
    ),
    Group(
        "reading", _("Rows that could not be read as they are"),
        _("Compare them with the old database."), frozenset((Kind.LONG_TEXT, Kind.NO_NUMBER, Kind.ID_REPEATED)),
    ),
    Group(
        "refused", _("Rows that are not imported"),
        _("Read the reason of each. Mend it in the old program and repeat the run, or enter it here by hand."),
        _REFUSED,
    ),
)  # fmt: skip
BY_NAME = {group.name: group for group in GROUPS}
_OF_CODE = {kind.value: group.name for group in GROUPS for kind in group.kinds}


def counted(codes: Iterable[tuple[str, int]]) -> Iterator[tuple[Group, int]]:
    """Yield the groups that have rows, with their number. ``codes``: the codes of rows, and how many have these."""
    numbers: Counter[str] = Counter()
    for text, number in codes:
        for name in {_OF_CODE[code] for code in text.split() if code in _OF_CODE}:
            numbers[name] += number
    for group in GROUPS:
        if numbers[group.name]:
            yield group, numbers[group.name]


def rows_of(group: Group) -> Q:
    """Return the condition for the rows of a group."""
    found = Q()
    for kind in group.kinds:
        found |= Q(codes__contains=f" {kind.value} ")
    return found

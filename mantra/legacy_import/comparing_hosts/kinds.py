"""The kinds of differences between two hosts: what each is called, whether callers notice it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Kind:
    """``harmless``: no caller loses anything by it, so that the comparison is clean all the same."""

    label: Any
    advice: Any
    harmless: bool = False


#: By the names that results have. The order is that of the report: what stops callers comes first.
KINDS: dict[str, Kind] = {
    "refused": Kind(
        _("the old host responds with data, the new one refuses"),
        _("Look up the code below and do what it says."),
    ),
    "not-here": Kind(
        _("called on the old host, not published here"),
        _("Publish the operation, or tell its callers that it ends."),
    ),
    "old-down": Kind(
        _("no response of the old host"),
        _("Check the address and that the old host runs. Then compare again."),
    ),
    "new-down": Kind(
        _("no response of the new host"),
        _("Check the address and that this MANTRA runs. Then compare again."),
    ),
    "http-status": Kind(
        _("another HTTP status than 200"),
        _("Check the address and its folder. A redirect is not followed: enter the address to which it leads."),
    ),
    "old-silent": Kind(
        _("the old host responds with nothing"),
        _("Its program stopped, or it does not know the key. Call the operation on the old host by hand."),
    ),
    "old-unreadable": Kind(
        _("the old host responds with something else than its format"),
        _("Check the address. If it is right, the old program reports an error: call it by hand."),
    ),
    "new-unreadable": Kind(
        _("the new host responds with something else than the format"),
        _("Check that the address is this MANTRA, and that its folder is in MANTRA_LEGACY_FOLDERS."),
    ),
    "other-code": Kind(
        _("both refuse, with different codes"),
        _("Callers that compare codes notice it. Look up both codes."),
    ),
    "data-key": Kind(
        _("another key under data"),
        _("Check the operation's name of 1.99x: callers read the rows under it."),
    ),
    "truncated": Kind(
        _("the response ends at the row limit"),
        _("Raise the operation's row limit above its largest response."),
    ),
    "missing-rows": Kind(
        _("rows are missing"),
        _("Compare the conditions of the SQL, and check that both hosts read the same database."),
    ),
    "extra-rows": Kind(
        _("there are more rows"),
        _("Compare the conditions of the SQL, and check that both hosts read the same database."),
    ),
    "row-order": Kind(
        _("the same rows in another order"),
        _("Add the ORDER BY of the old definition. Without one, no database promises an order."),
    ),
    "missing-column": Kind(
        _("a column is missing"),
        _("Add the column to the SQL and to the declared columns, and check the grant's allowed fields."),
    ),
    "extra-column": Kind(
        _("there is one more column"),
        _("The table may have a new column: name the columns in the SQL in place of *."),
    ),
    "column-order": Kind(
        _("the columns are in another order"),
        _("Name the columns in the SQL in the order of the old host."),
    ),
    "null-empty": Kind(
        _("null in place of an empty text, or the reverse"),
        _("Use COALESCE or NULLIF in the SQL if callers distinguish them."),
    ),
    "number-as-text": Kind(
        _("a number in place of a text, or the reverse"),
        _("Callers that compare types notice it. Check the upstream's response, or cast the column."),
    ),
    "number-form": Kind(
        _("a number is written in another way"),
        _("Cast the column to text in the SQL, as the database writes it."),
    ),
    "boolean-form": Kind(
        _("yes and no are written in another way"),
        _("Write the old values with CASE in the SQL."),
    ),
    "time-form": Kind(
        _("a date or time is written in another way"),
        _("Cast the column to text in the SQL, and check the source's time zone."),
    ),
    "letters": Kind(
        _("letters differ: another encoding"),
        _("Look at one name with an accent on both hosts. If the new one is wrong, set the source's character set."),
    ),
    "binary": Kind(
        _("bytes are written in another way"),
        _("Cast the column to text in the SQL, if it is text."),
    ),
    "blanks": Kind(
        _("blanks or line breaks in a value differ"),
        _("Check the type of the column: char is filled with blanks."),
    ),
    "value": Kind(
        _("another value"),
        _("Check that both hosts read the same database, and compare the SQL of this column."),
    ),
    "structure": Kind(
        _("the document has another structure"),
        _("Compare the definition of the proxy operation: style, path and the block of SOAP."),
    ),
    "bytes": Kind(
        _("the same values, other bytes"),
        _("Callers that read the format do not notice it. Report it if it occurs."),
    ),
    "large": Kind(
        _("different, and too large to be compared further"),
        _("Call the operation with narrower parameters."),
    ),
    "white-space": Kind(
        _("equal but for white space of XML"), _("Nothing: the old host changed white space."), harmless=True
    ),
    "old-xml": Kind(
        _("the XML of the old host is not well-formed"),
        _("Nothing: no caller could read it. The other formats are compared."),
        harmless=True,
    ),
    "message": Kind(
        _("the same code with another message"), _("Nothing, unless callers compare messages."), harmless=True
    ),
    "new-code": Kind(
        _("both refuse; the old host with the database's code and text"),
        _("Nothing: the new code is meant, and names no database."),
        harmless=True,
    ),
    "old-failed": Kind(
        _("the old host fails, the new one responds with data"),
        _("Nothing. Check that the data are meant to go out."),
        harmless=True,
    ),
    "more-accepted": Kind(
        _("the old host requires other parameters, the new one responds with data"),
        _("Nothing: callers that worked before work now."),
        harmless=True,
    ),
    "slower": Kind(
        _("the new host is slower"),
        _("Look at the source's load and its distance to this server."),
        harmless=True,
    ),
}  # fmt: skip

#: What to do about a code with which the new host refuses what the old one responds to.
CODES: dict[int, Any] = {
    10001: _("No key was received: check the proxy server in front of this MANTRA."),
    10002: _("Check that the operation is published, the key is imported and active, and its application is granted."),
    10003: _("Check the folder in the address: it must be in MANTRA_LEGACY_FOLDERS."),
    10004: _("Check the folder in the address: it must be in MANTRA_LEGACY_FOLDERS."),
    10005: _("A parameter has another name here: enter the old one as its name in MANTRA 1.99x."),
    10009: _("Check the path of the SOAP operation: name#depth#block."),
    10012: _("No rows here: check the SQL's conditions, and that the source is the same database."),
    10018: _("A column's name cannot be an XML tag. Rename it in the SQL."),
    11102: _("A value does not fit the parameter: its type must be text, without a pattern."),
}
#: The same for the ranges of other codes, the first of each.
_RANGES: tuple[tuple[int, int, Any], ...] = (
    (11001, 11099, _("Look at the key and the grant: period, networks, quota.")),
    (11100, 11199, _("Look at the operation's parameters.")),
    (11200, 11299, _("The source or the upstream fails: test its connection.")),
)


def advice_on(code: int) -> Any:
    """Return what to do about a code with which the new host refuses."""
    found = CODES.get(code)
    if found is not None:
        return found
    return next(
        (advice for first, last, advice in _RANGES if first <= code <= last), _("See the code in docs/errors.md.")
    )

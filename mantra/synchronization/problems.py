"""Why a run has failed: the words that runs store, with sentences that say what to do."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

PROBLEMS: dict[str, Any] = {
    # The operation.
    "operation": _("The operation is not there any more, or was retired. Choose another one."),
    "grant": _(
        "The application may not call the operation: its grant is missing, was revoked, has ended, or is limited to "
        "networks to which MANTRA's server does not belong. Request access again."
    ),
    "quota": _("The quota of the grant is used up. Run it less often, or ask the provider for a larger quota."),
    "parameters": _("The operation needs other parameters. Check their values in the synchronisation."),
    "source-away": _("The operation did not respond. The next run tries again; see the health of its source."),
    "source-error": _("The call of the operation has failed. The call history says why."),
    "source-columns": _("The operation no longer has a column that the table is filled from. Check the columns."),
    "stopped": _("The access is stopped to protect data. The next run after the release goes on."),
    "truncated": _(
        "The operation has more rows than its row limit. Ask its provider for a higher limit, or for pages."
    ),
    "not-rows": _("The response has no rows that MANTRA can read. Choose an operation with declared columns."),
    "key-empty": _("A row of the operation has no value in a column of the key. Choose another key."),
    "key-twice": _("Two rows of the operation have the same key. Choose a key that each row has for itself."),
    "cursor": _("The place up to which changes were read is no longer valid. A full read comes next."),
    # The table.
    "target-kind": _("MANTRA does not write to dBase files or uploaded tables. Choose another data source."),
    "target-away": _("The data source of the table cannot be reached. The next run tries again; test the source."),
    "target-rights": _(
        "The account of the data source may not write to the table. Ask the database's administrator for SELECT, "
        "INSERT and UPDATE on it."
    ),
    "target-columns": _("The table or one of its columns is not there any more. Check table and columns."),
    "target-key": _(
        "The table has no primary or unique key of exactly the columns of the key. Ask the database's administrator "
        "to create one."
    ),
    "target-other-key": _(
        "The table has a further unique key in the filled columns: this database would overwrite another row. Do "
        "not fill one of its columns."
    ),
    "target-value": _("A value does not fit into its column of the table. Choose another column, or change its type."),
    "target-constraint": _(
        "A rule of the table refuses a row, such as a column that must have a value. Fill that column too, or give it "
        "a default value."
    ),
    "target-slow": _("The data source of the table did not respond in time, or rows were locked. Try again later."),
    "target-error": _("The data source of the table refused the statement. Ask the database's administrator."),
    # The run.
    "threshold": _(
        "The run would change more of the table than you allow. Look at it with a dry run; then run it once without "
        "the limit, or raise the limit."
    ),
    "disk": _("The server has no room for the rows on its disk. Ask its administrator; the next run tries again."),
    "interrupted": _("The server stopped several times during this run. Ask its administrator."),
    "error": _("The run has failed because of an error in MANTRA. Ask the administrator of the server."),
}


class Problem(Exception):
    """A run cannot go on. ``word``: a key of PROBLEMS. ``fault``: the code of the call's; ``column``: a name."""

    def __init__(self, word: str, fault: int | None = None, column: str = "") -> None:
        super().__init__(word)
        self.word, self.fault, self.column = word, fault, column


def sentence(word: str) -> Any:
    """Return what is wrong and what to do about it."""
    return PROBLEMS.get(word, PROBLEMS["error"])

"""The problems of an author's SQL, as messages for the author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def gettext_noop(message: str) -> str:
    """Mark a message for translation. It is translated when it is shown."""
    return message


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why a text may not run. ``message`` is an English msgid with {names} from ``details``.

    ``line`` and ``column`` count from 1; they are None if the problem concerns the whole text. ``routine`` is the name,
    "name" or "schema.name" in lower case, of a function or procedure that may be called if the source's owner made it.
    """

    code: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
    line: int | None = None
    column: int | None = None
    routine: str = ""

    def text(self) -> str:
        """Return the message in English."""
        return self.message.format_map(self.details)


MESSAGES = {
    "empty": gettext_noop("The SQL is empty. Write a SELECT statement."),
    "too-long": gettext_noop("The SQL is longer than {limit} characters. Move most of it into a view."),
    "character": gettext_noop(
        "The database may read this character differently: {name}. Type this part again with plain spaces and line "
        "breaks."
    ),
    "syntax": gettext_noop(
        "The check does not know the wording near “{near}”. If the database accepts it, put it into a view and read "
        "that; otherwise correct the text before it."
    ),
    "unreadable": gettext_noop(
        "The SQL cannot be parsed. Look for a quotation mark or a comment that is not closed."
    ),
    "literal": gettext_noop(
        "The database may end this text or name at another position: {near}. Use plain quotation marks, and double "
        "those in the text."
    ),
    "comment": gettext_noop(
        "The database may execute a part of this comment: {near}. Write comments as “-- …” with a space, or /* … */ "
        "without “!”, “+” and further comments."
    ),
    "mark-name": gettext_noop(
        "A placeholder is a colon and a name of letters, digits and _. Correct {near}, for example to :nama."
    ),
    "mark-adjacent": gettext_noop(
        "Write a space before :{name} if it is a placeholder, or after its colon if it is not."
    ),
    "grant-name": gettext_noop(
        "Write :grant. and a name of at most 23 letters, digits and _ for a value of the grant, not :{name}."
    ),
    "grant-optional": gettext_noop(
        "Take :grant.{name} out of the [[ block ]]: callers could omit the block, and get all rows."
    ),
    "mark-quoted": gettext_noop(
        "A placeholder in quotation marks is not replaced: {near}. Write {instead}; or {literal} if :{name} belongs to "
        "the text."
    ),
    "block-nested": gettext_noop("A [[ block ]] contains another block. Close the outer block first."),
    "block-open": gettext_noop("This [[ is not closed. Write ]] where the optional part ends."),
    "block-empty": gettext_noop(
        "This [[ block ]] has no :placeholder, so the bus cannot decide when to drop it. Add a placeholder, or "
        "remove the brackets; for an array of arrays write [ [ with a space."
    ),
    "block-array": gettext_noop(
        "This [[ is followed by a single ]. Write ]] where an optional part ends, or [ [ with a space for an array"
        " of arrays."
    ),
    "statements": gettext_noop("Write one statement only. Remove the text after “;”."),
    "not-reading": gettext_noop(
        "A reading operation allows one SELECT, WITH or VALUES that changes and locks nothing: {near}. Select "
        "“changes data” if the operation is meant to change data."
    ),
    "not-writing": gettext_noop(
        "An operation that changes data allows one INSERT, UPDATE, DELETE, MERGE or CALL. {near} is none of them."
    ),
    "into": gettext_noop("INTO would write the result elsewhere. Remove it: the response is the rows."),
    "every-row": gettext_noop(
        "{near} has no WHERE outside [[ blocks ]], so it could change every row. Add a condition outside [[ blocks "
        "]]; write WHERE 1 = 1 if you mean every row."
    ),
    "function": gettext_noop(
        "The function {name} is neither on the list of allowed ones nor made in this source. Write one of your own "
        "with its schema, or remove it, or put it into a view and read that."
    ),
    "routine-unknown": gettext_noop(
        "Whether {name} was made in this source could not be looked up ({reason}). Test the source, then save again."
    ),
    "function-quoted": gettext_noop("Write the function {name} without quotation marks."),
    "function-qualified": gettext_noop(
        "{name} was not made in this source. Write a function of the server without a schema before it."
    ),
    "construct": gettext_noop(
        "The check does not know this part of SQL: {near}. Write it another way, or put it into a view and read that."
    ),
    "attribute": gettext_noop(
        "The database could call a function at {near}: no table's name is before the dot. Put the expression into a "
        "view, and read its column."
    ),
    "type": gettext_noop(
        "Values of the type {near} are looked up among the server's own objects. Remove the conversion, or put it into "
        "a view."
    ),
    "function-column": gettext_noop(
        "The database may call a function at {near}. Name the columns of the function in FROM, as in … AS t(a, b)."
    ),
    "variable": gettext_noop(
        "Server variables (@name, @@name, :=) are not allowed. Use a :placeholder for a value, ROW_NUMBER() OVER (…) "
        "to number rows."
    ),
    "placeholder": gettext_noop("Write :nama for a value instead of {near}."),
    "declare": gettext_noop(
        "Write variables as DECLARE @name type = value, or SET @name = value. Check the text near {near}."
    ),
    "undeclared": gettext_noop("Write a declared variable after {near}: DECLARE @name type."),
    "word": gettext_noop(
        "{near} would start another statement here. Remove it, or write [{near}] in brackets if it is a name."
    ),
    "exec": gettext_noop(
        "Call a procedure as EXEC name value, @variable OUTPUT, …. Put an expression such as {near} into a variable "
        "first."
    ),
    "procedure": gettext_noop(
        "Only procedures that were made in this source can be called, not the server's own or another database's: "
        "{near}."
    ),
    "link": gettext_noop(
        "You cannot read through a link to another database: {near}. Ask that database's administrator for a view."
    ),
    "limit-tsql": gettext_noop(
        "This database has no LIMIT. Write TOP 10 after SELECT; for pages, SQL Server takes ORDER BY … OFFSET :offset "
        "ROWS FETCH NEXT :limit ROWS ONLY at the end."
    ),
    "limit-oracle": gettext_noop(
        "Oracle has no LIMIT. Write FETCH FIRST 10 ROWS ONLY at the end; for pages, OFFSET :offset ROWS FETCH NEXT "
        ":limit ROWS ONLY."
    ),
    "table": gettext_noop("{name} shows accounts or settings of the server and cannot be read here."),
}  # fmt: skip


def position_of(text: str, start: int) -> tuple[int, int]:
    """Return the line and column of an offset, both from 1."""
    before = text[:start]
    return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1


def make_problem(code: str, place: tuple[int | None, int | None] = (None, None), /, **details: str) -> Problem:
    return Problem(code, MESSAGES[code], details, *place)


def not_looked_up(problem: Problem, reason: str) -> Problem:
    """Return a problem of a routine as one of a source that could not be asked; other problems as they are."""
    if not problem.routine:
        return problem
    return make_problem("routine-unknown", (problem.line, problem.column), name=problem.routine, reason=reason)

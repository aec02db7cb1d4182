"""A program of 1.99x. It cannot run here: its text is kept for who ports it, with what was found in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from mantra.legacy_import.old import OldOperation
from mantra.legacy_import.translating.conditions import OldParameter
from mantra.legacy_import.translating.data import unfinished
from mantra.legacy_import.translating.definitions import MAX_DESCRIPTION, Definition, parameter_keys, shortened
from mantra.legacy_import.translating.remarks import Kind, Remark, remark
from mantra.legacy_import.translating.requests import items_of
from mantra.legacy_import.translating.sourcecode import Source

#: Statements that are proposed, and characters of each.
MAX_PROPOSALS, MAX_PROPOSAL = 20, 2_000
#: Characters of a program that are read for them, calls of the database, and characters of each.
_MAX_READ, _MAX_CALLS, _MAX_CALL = 200_000, 100, 8_000
#: Characters that are searched for secrets: more than a description has.
_MAX_SHOWN = 2 * MAX_DESCRIPTION
#: Instead of a secret.
HIDDEN = "•••"

#: A literal; one that is not closed ends with the text.
_STRING = re.compile(r"'(?:[^'\\]|\\.)*(?:'|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\Z)", re.DOTALL)
_DATABASE_CALL = re.compile(r"\bdb(?:Execute|Insert|Update|Delete)\s*\(", re.IGNORECASE)
_SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CALL|EXEC)\b", re.IGNORECASE)
_WRITING = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|CALL|EXEC)\b", re.IGNORECASE)
_WRITING_CALL = re.compile(r"\bdb(?:Insert|Update|Delete)\s*\(", re.IGNORECASE)
#: Functions that connect, with arguments that nobody else should read.
_CONNECTING = re.compile(
    r"\b(?:mysqli?_p?connect|mysqli|PDO|pg_p?connect|oci_?p?(?:logon|connect|new_connect)|mssql_p?connect"
    r"|sqlsrv_connect|sybase_p?connect|odbc_p?connect|ftp_login|imap_open|ldap_bind|dbConnect\w*)\s*\(",
    re.IGNORECASE,
)
#: Names that say secret, and what gives them a value.
_WORD = re.compile(r"\w+")
_SECRET = re.compile("pass|pwd|sandi|secret|rahasia|token|kunci|api_?key|accesskey|credential|auth", re.IGNORECASE)
_GIVEN = re.compile(r"['\"]?\s*(?:\]\s*)?(?:=>|=|,|:)\s*")
_IN_TEXT = re.compile(r"(://[^\s:/@'\"]{1,100}:)[^\s@'\"]{1,200}@")
#: Functions that read from, or write to, what is no database.
_OTHER_SYSTEM = re.compile(
    r"\b(curl_exec|file_get_contents|fsockopen|SoapClient|nusoap_client|file_put_contents|mail|exec|shell_exec"
    r"|system|include|require|include_once|require_once)\b\s*[(\"']",
    re.IGNORECASE,
)
_VARIABLE = r"\$([A-Za-z_]\w{0,62})"
#: A value in a statement: '$nip', '{$nip}' or $nip.
_IN_SQL = re.compile(rf"(['\"]?)\{{?{_VARIABLE}\}}?\1")
#: What joins two literals: . $nip .
_JOINT = re.compile(rf"\s*\.\s*(?:(?:\w+\s*\(\s*)?{_VARIABLE}\s*\)?\s*\.\s*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ProgramDefinition(Definition):
    """A draft for what a program did. ``description`` has its text, without secrets; ``proposals`` its SQL."""

    code: str = field(repr=False)
    parameters: tuple[OldParameter, ...]
    proposals: tuple[str, ...]

    def bundle(self, code: str, source: str, legacy_name: str = "", dialect: str = "sqlite") -> dict[str, Any]:
        """Return the operation as a bundle has it: a draft on a source of its agency, with SQL of that dialect."""
        return {
            **self._keys(code, "data", legacy_name),
            "listing": "hidden",
            "source": source,
            "sql": unfinished(
                " ".join(f"[{number}] {text}" for number, text in enumerate(self.proposals, start=1)),
                [parameter.name for parameter in self.parameters],
                dialect,
            ),
            "parameters": parameter_keys(self.parameters),
        }


def placeholder_source(agency: str, code: str) -> dict[str, Any]:
    """Return a source for the drafts of programs, as a bundle has it: its file does not exist."""
    return {"agency": agency, "code": code, "engine": "sqlite", "database": "belum-ada.sqlite3"}


def program_definition(operation: OldOperation, source: Source) -> ProgramDefinition:
    """Return what a program is here. Raises Refused."""
    items, on_items = items_of(source.text("request"))
    # That its values are sent with quotation marks, or as secrets, is of no use here.
    remarks = [*source.remarks, *(each for each in on_items if each.kind is not Kind.CONSTANT_QUOTED)]
    if operation.kind != "program":
        remarks.append(remark(Kind.UNKNOWN_KIND, kind=operation.kind))
    remarks += [remark(Kind.PROGRAM_CONSTANT, name=item.name) for item in items if not item.parameter]
    parameters = tuple(item.parameter for item in items if item.parameter)
    code = source.text("code")
    proposals = tuple(_proposals(code[:_MAX_READ]))
    remarks += _checklist(code[:_MAX_READ], proposals)
    shown = without_secrets(code[:_MAX_SHOWN])
    if HIDDEN in shown:
        remarks.append(remark(Kind.PROGRAM_SECRETS))
    before = f"{operation.description.strip()}\n\n" if operation.description.strip() else ""
    before = f"{shortened(before, MAX_DESCRIPTION // 4)}MANTRA 1.99x:\n"
    most = MAX_DESCRIPTION - len(before)
    if len(shown) > most or len(code) > _MAX_SHOWN:
        remarks.append(remark(Kind.PROGRAM_CUT, most=most))
    return ProgramDefinition(
        title=operation.code,
        description=before + shortened(shown, most),
        remarks=tuple(dict.fromkeys(remarks)),
        code=code,
        parameters=parameters,
        proposals=proposals,
    )


def _checklist(code: str, proposals: tuple[str, ...]) -> list[Remark]:
    """Return what is to be done, in the order in which a person does it."""
    remarks = [remark(Kind.PROGRAM)] if code.strip() else [remark(Kind.PROGRAM), remark(Kind.PROGRAM_EMPTY)]
    if proposals:
        remarks.append(remark(Kind.PROGRAM_SQL, count=len(proposals)))
    if _WRITING_CALL.search(code) or any(map(_WRITING.match, proposals)):
        remarks.append(remark(Kind.PROGRAM_WRITES))
    called = dict.fromkeys(match[1].lower() for match in _OTHER_SYSTEM.finditer(code))
    remarks += [remark(Kind.PROGRAM_CALLS, name=name) for name in called]
    return [*remarks, remark(Kind.PROGRAM_RESULT)]


def _proposals(code: str) -> Iterator[str]:
    """Yield the statements that are literals in calls of the database, with a placeholder for each variable."""
    statements = (_statement(code, call.end()) for call in islice(_DATABASE_CALL.finditer(code), _MAX_CALLS))
    yield from islice((shortened(each, MAX_PROPOSAL) for each in statements if each), MAX_PROPOSALS)


def _statement(code: str, start: int) -> str:
    """Return the first literal behind ``start`` that is SQL, with the literals that are joined to it; "" for none."""
    end = start + _MAX_CALL
    for _argument in range(4):
        literal = _STRING.search(code, start, end)
        if literal is None or ";" in code[start : literal.start()]:
            return ""
        if _SQL.match(literal[0], 1):
            return _joined(code, literal, end)
        start = literal.end()
    return ""


def _joined(code: str, literal: re.Match[str], end: int) -> str:
    pieces = [literal[0][1:-1]]
    while joint := _JOINT.match(code, literal.end(), end):
        following = _STRING.match(code, joint.end(), end)
        if following is None:
            break
        pieces += [f"${joint[1]}" if joint[1] else "", following[0][1:-1]]
        literal = following
    text = " ".join("".join(pieces).replace("\\'", "'").replace('\\"', '"').split())
    return _IN_SQL.sub(r":\2", text)


def without_secrets(code: str) -> str:
    """Return a program without the literals that may be secrets: values of names that say so, arguments of connecting
    functions, and passwords in addresses."""
    pieces: list[str] = []
    position = 0
    for start, end in _secret_literals(code):
        if start >= position:
            pieces += [code[position : start + 1], HIDDEN]
            position = max(start + 1, end - 1) if code[end - 1] == code[start] else end
    return _IN_TEXT.sub(rf"\1{HIDDEN}@", "".join([*pieces, code[position:]]))


def _secret_literals(code: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for word in _WORD.finditer(code):
        if _SECRET.search(word[0]):
            given = _GIVEN.match(code, word.end())
            if given and (literal := _STRING.match(code, given.end())):
                spans.append(literal.span())
    for match in _CONNECTING.finditer(code):
        end = code.find(";", match.end())
        stop = min(end if end >= 0 else len(code), match.end() + 2_000)
        spans += [literal.span() for literal in _STRING.finditer(code, match.end(), stop)]
    return sorted(set(spans))

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.dbase import DBase
from tests.dbf_writer import F, dbt3, dbt4, fpt, write
from tests.matrix.asked import Asked, each, every
from tests.matrix.dbase import DBASE2, DBASE3_MEMO, DBASE4_MEMO, DBASE7, FORMS, TYPES, Form
from tests.matrix.shown import Case, Type


def memos(folder: Path, name: str, form: Form, contents: list[bytes]) -> list[bytes]:
    """Write the memo file. The cells that lead to its memos."""
    if form.version == DBASE3_MEMO:
        places = dbt3(folder / f"{name}.dbt", contents)
    elif form.version == DBASE4_MEMO:
        places = dbt4(folder / f"{name}.dbt", contents)
    else:
        text = form.type == "M" and not form.flags & 4
        places = fpt(folder / f"{name}.fpt", [(int(text), content) for content in contents])
    return [struct.pack("<I", place) if form.width == 4 else b"%10d" % place for place in places]


def filled(folder: Path, place: int, type_: Type, form: Form) -> None:
    """Write one type's file. Of two null flags' bits the first is a varying length's."""
    name, contents = f"m{place}", [case.literal.encode("latin-1") for case in type_.cases]
    if form.type in "MGPW" or (form.type == "B" and form.width == 10):
        contents = memos(folder, name, form, contents)
    fields = [F("n", "N", 5), F("v", form.type, form.width, form.decimals, form.flags)]
    varying, flagged = form.type in "VQ", bool(form.flags & 2)
    if flagged:
        fields.append(F("_NullFlags", "0", 1, flags=5))
    blank = bytes(form.width) if form.version == DBASE7 or (form.width == 4 and form.type != "N") else b""
    rows = [*contents, *[blank] * type_.null]
    records = []
    for number, cell in enumerate(rows):
        short = varying and number < len(contents) and type_.cases[number].label != "full"
        null = flagged and number == len(contents)
        bits = short | (null << varying)
        records.append([b"%5d" % number, cell, *([bytes((bits,))] if flagged else [])])
    path = write(folder / f"{name}.dbf", fields, records, form.version, 0 if form.version == DBASE2 else form.code_page)
    # A file that was written just now is waited for a while, in case that its writer goes on.
    os.utime(path, (1.7e9, 1.7e9))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("dbf")
    for place, (type_, form) in enumerate(FORMS):
        filled(folder, place, type_, form)
    adapter = DBase({"database": ".", "roots": [folder]})
    connection = adapter.connect()
    yield Asked(adapter, connection, TYPES)
    connection.close()


@each(TYPES)
def test_a_value_reads_as_the_table_says(asked: Asked, type_: Type, case: Case) -> None:
    asked.check(type_, [case])


@every(TYPES)
def test_a_column_of_values_reads_as_they_do_one_by_one(asked: Asked, type_: Type) -> None:
    asked.check(type_, type_.rows)

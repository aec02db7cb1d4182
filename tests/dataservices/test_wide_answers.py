"""Answers wider than a worker can hold, through the whole path: a numbered fault instead of a worker without memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cast import Cast

WIDE = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20) SELECT n, {} AS isi FROM s"


def of(size: int, later: int | None = None) -> str:
    """SQL for twenty texts of so many thousand letters; of ``later`` from the 15th on."""
    texts = [f"replace('{'x' * each}', 'x', '{'y' * 1000}')" for each in (size, later or size)]
    return WIDE.format(f"CASE WHEN n < 15 THEN {texts[0]} ELSE {texts[1]} END")


@pytest.fixture
def narrow(cast: Cast, settings: Any) -> Cast:
    """A bus that takes rows and pages up to 1 MiB."""
    settings.ROW_BYTES = 2**20
    return cast


def test_a_row_that_is_too_wide_is_a_fault(narrow: Cast) -> None:
    narrow.operation("lebar", of(1200))
    for _ in range(2):
        reply = narrow.get("lebar")
        assert (reply.status, reply.json()["code"]) == (502, 11215)
        assert "1 MiB" in reply.text
        assert reply.headers["content-type"].startswith("application/problem+json")


def test_a_row_that_is_too_wide_breaks_an_answer_off(narrow: Cast) -> None:
    narrow.operation("melebar", of(400, 1200))
    reply = narrow.get("melebar")
    assert reply.broke is not None or reply.status == 502


def test_a_page_that_is_too_wide_is_a_fault(narrow: Cast) -> None:
    narrow.operation("halaman_lebar", of(900) + " ORDER BY n LIMIT :limit OFFSET :offset", page_size=10)
    reply = narrow.get("halaman_lebar")
    assert (reply.status, reply.json()["code"]) == (502, 11215)
    reply = narrow.get("halaman_lebar", "per_page=3")
    assert (reply.status, len(reply.json()["data"])) == (200, 3)


def test_many_rows_of_what_is_allowed_come_whole(narrow: Cast) -> None:
    narrow.operation("banyak", of(900))
    reply = narrow.get("banyak")
    assert reply.status == 200 and reply.broke is None
    assert [(row["n"], len(row["isi"])) for row in reply.json()["data"]] == [(n, 900_000) for n in range(1, 21)]


def test_other_operations_work_after_a_wide_answer(narrow: Cast) -> None:
    narrow.operation("lebar", of(1200))
    for _ in range(10):
        assert narrow.get("lebar").status == 502
        assert narrow.get("satu", "id=5").status == 200

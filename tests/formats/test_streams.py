"""What holds for every format: pieces, batches, faults on the way, what cannot be written."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from mantra.gateway.formats import FORMATS, LEGACY, php_serialize, xlsx
from registry import faults, results
from registry.results import Affected, Document, Row
from tests.formats.oracle import Php, answer, pieces, table

ALL = {**FORMATS, **LEGACY}
STREAMED = sorted(set(ALL) - {"xlsx"})
COLUMNS: list[str | tuple[str, str | None]] = [("id", "integer"), ("nama", "text"), ("gaji", "decimal")]
BATCHES: list[list[Row]] = [[(n * 10 + m, f"é{n}", None if m % 3 else "1.50") for m in range(10)] for n in range(30)]


class Lost(Exception):
    """What a source may raise while it streams."""


def breaking(after: int) -> Iterator[list[Row]]:
    yield from BATCHES[:after]
    raise Lost


@pytest.mark.parametrize("name", STREAMED)
def test_batches_do_not_show(name: str) -> None:
    whole = answer(name, COLUMNS, [row for batch in BATCHES for row in batch])
    assert b"".join(pieces(name, COLUMNS, [[], *BATCHES, []])) == whole


@pytest.mark.parametrize("name", STREAMED)
def test_one_batch_is_one_piece(name: str) -> None:
    for batches in (BATCHES[:1], BATCHES[:0], [BATCHES[0][:0]]):
        assert len(list(pieces(name, COLUMNS, batches))) == 1


@pytest.mark.parametrize("name", sorted(set(STREAMED) - {"php", "legacy_php"}))
def test_the_first_piece_leaves_before_the_rows_have_run_out(name: str) -> None:
    left = iter(BATCHES)
    assert next(pieces(name, COLUMNS, left))
    assert len(list(left)) == len(BATCHES) - 2


@pytest.mark.parametrize("name", ["php", "legacy_php"])
def test_what_php_serialize_spools_is_the_same_from_disk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = b"".join(pieces(name, COLUMNS, BATCHES))
    monkeypatch.setattr(php_serialize, "SPOOL", 100)
    monkeypatch.setattr(php_serialize, "CHUNK", 1000)
    from_disk = list(pieces(name, COLUMNS, BATCHES))
    assert b"".join(from_disk) == in_memory
    assert max(map(len, from_disk)) <= 1000


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_fault_on_the_way_passes_and_no_end_follows(name: str) -> None:
    whole = answer(name, COLUMNS, [row for batch in BATCHES[:9] for row in batch])
    body = pieces(name, COLUMNS, breaking(9))
    sent: list[bytes] = []
    with pytest.raises(Lost):
        sent.extend(body)
    assert list(body) == []
    if name in ("php", "legacy_php", "xlsx"):
        assert sent == []
    else:
        assert len(sent) == 8
        assert whole.startswith(b"".join(sent))
        assert whole != b"".join(sent)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_fault_at_once_leaves_nothing_sent(name: str) -> None:
    for after in (0, 1):
        with pytest.raises(Lost):
            next(pieces(name, COLUMNS, breaking(after)))


def test_a_workbook_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert b"".join(pieces("xlsx", COLUMNS, BATCHES)).startswith(b"PK")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Lost):
        list(pieces("xlsx", COLUMNS, breaking(3)))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(xlsx, "CHUNK", 100)
    left = pieces("xlsx", COLUMNS, BATCHES)
    next(left)
    assert len(list(tmp_path.iterdir())) == 1
    left.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def cut(name: str) -> bytes:
    rows = table(COLUMNS, [])

    def batches() -> Iterator[list[Row]]:
        yield BATCHES[0]
        yield BATCHES[1]
        rows.truncated = True

    rows.batches = batches()
    return b"".join(ALL[name].render(rows, "op"))


def test_truncated_is_said_at_the_end(php: Php) -> None:
    assert json.loads(cut("json"))["truncated"] is True
    assert cut("ndjson").endswith(b'}\n{"truncated":true}\n')
    assert cut("xml").endswith(b"</data><count>20</count><truncated>true</truncated></response>")
    assert php.unserialize(cut("php"))["truncated"] is True
    assert php.eval(cut("phpa"))["truncated"] is True
    assert openpyxl.load_workbook(io.BytesIO(cut("xlsx"))).sheetnames == ["data", "truncated"]
    assert cut("csv") == answer("csv", COLUMNS, [*BATCHES[0], *BATCHES[1]]) + b"# truncated\r\n"


def test_no_rows() -> None:
    assert answer("json", COLUMNS, []) == b'{"data":[],"count":0,"truncated":false}'
    assert answer("ndjson", COLUMNS, []) == b""
    assert answer("csv", COLUMNS, []) == b"id,nama,gaji\r\n"
    assert answer("xml", COLUMNS, []).endswith(b"<data></data><count>0</count><truncated>false</truncated></response>")
    assert answer("php", COLUMNS, []) == b'a:3:{s:4:"data";a:0:{}s:5:"count";i:0;s:9:"truncated";b:0;}'
    assert answer("phpa", COLUMNS, []) == (
        b"array (\n  'data' => \n  array (\n  ),\n  'count' => 0,\n  'truncated' => false,\n)"
    )


def test_rows_touched(php: Php) -> None:
    for count, known in ((3, 3), (-1, None)):
        written = {name: each.render_affected(Affected(count), "op") for name, each in FORMATS.items()}
        assert json.loads(written["json"]) == json.loads(written["ndjson"]) == {"affected": known}
        assert php.unserialize(written["php"]) == php.eval(written["phpa"]) == {"affected": known}
        assert written["csv"].decode() == f"affected\r\n{'' if known is None else known}\r\n"
        sheet = openpyxl.load_workbook(io.BytesIO(written["xlsx"]))["data"]
        assert [cell.value for cell in sheet["A"]][:2] == (["affected", 3] if known else ["affected"])
    assert FORMATS["xml"].render_affected(Affected(3)).endswith(b"<affected>3</affected></response>")
    assert FORMATS["xml"].render_affected(Affected(-1)).endswith(b'<affected xsi:nil="true"/></response>')


@pytest.mark.parametrize("name", ["csv", "ndjson", "xlsx"])
def test_a_document_that_is_no_table_is_refused_where_only_tables_fit(name: str) -> None:
    with pytest.raises(results.Fault) as refused:
        ALL[name].render_document(Document({"a": {"b": 1}}))
    assert refused.value.kind is faults.FORMAT_IMPOSSIBLE
    assert name in refused.value.message("en")


def test_each_format_is_listed_under_its_name() -> None:
    assert list(FORMATS) == ["json", "xml", "csv", "ndjson", "php", "phpa", "xlsx"]
    assert list(LEGACY) == ["legacy_json", "legacy_xml", "legacy_php"]
    for name, each in ALL.items():
        assert each.name == name
        assert "/" in each.media_type
    assert all(each.suffix == name for name, each in FORMATS.items())

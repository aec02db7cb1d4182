"""The adapter file: programs of MANTRA 1.99x call with it as they did with theirs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from mantra.client_code.adapter import adapter
from registry.models import AccessKey, Operation
from registry.snapshot import holder
from tests.cast import Cast
from tests.client_code.running import served
from tests.proxy.upstream import Answer, Upstream, serve_upstream

CALLER = Path(__file__).parent.parent / "gateway" / "clients" / "caller.php"
KEY = "aaaaaaaaaa"
STYLES = ("REST", "RESTFULL", "RESTFULLPAR", "GET", "POST")
#: As if PHP had no curl: its streams are used.
STREAMS = ("-d", "disable_functions=curl_init")
OK = {"status": 1, "code": 200, "message": "OK"}


@pytest.fixture
def bus(cast: Cast) -> Iterator[str]:
    """The address of a bus, with an operation that returns its two parameters."""
    cast.operation("gema", "SELECT :a AS a, :b AS b", parameters=({"name": "a"}, {"name": "b"}))
    AccessKey.import_legacy(cast.application, KEY, Operation.objects.get(code="gema"))
    holder.refresh()
    with served() as url:
        yield url


def run(
    folder: Path, *calls: tuple[Any, ...], base: str = "", php: tuple[str, ...] = (), **constants: Any
) -> list[Any]:
    """What the adapter's functions return, each with its arguments. What they print comes last."""
    file = folder / "adapter.php"
    file.write_text(adapter(base))
    told = {"file": str(file), "constants": constants or {"MANTRA_SECONDS": 20}, "calls": calls}
    words = ["php", *php, str(Path(__file__).with_name("adapter_calls.php"))]
    done = subprocess.run(words, input=json.dumps(told), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    return [*found["returned"], found["printed"]]


def test_every_style_and_format(bus: str, tmp_path: Path) -> None:
    values = {"a": "Dinas 3 & é", "b": "x/y"}
    endpoints = [f"{bus}/{prefix}{face}/prov/data" for face in ("json", "xml", "api") for prefix in ("", "mantra/")]
    ways = [(endpoint, style) for endpoint in endpoints for style in STYLES]
    calls = [("callAPI", endpoint, "gema", KEY, values, style) for endpoint, style in ways]
    *by_curl, printed = run(tmp_path, *calls)
    *by_streams, _printed = run(tmp_path, *calls, php=STREAMS)
    assert printed == ""
    for (endpoint, style), result in zip(ways * 2, by_curl + by_streams, strict=True):
        rows = result["response"].pop("data")["gema"]
        assert rows in ([values], {"0": values}, values), (endpoint, style)  # one row of XML is no list, as in 1.99x
        assert {name: str(value) for name, value in result["response"].items()} == {k: str(v) for k, v in OK.items()}


def test_the_forms_of_a_call(bus: str, tmp_path: Path) -> None:
    json_face, values = f"{bus}/json/prov/data/", {"a": "1", "b": "2"}
    call = (json_face, "gema", KEY, values)
    table = {"response": {**OK, "data": {"gema": [values]}}}
    array, by_method, as_json, as_xml, older_array, older_xml, older_post, whole, relative, moved, number, _ = run(
        tmp_path,
        ("getAPI", *call),
        ("callAPI", *call, "post", "array"),
        ("getAPIJSON", *call, "GET"),
        ("getAPIXML", *call, "RESTFULL"),
        # Older than 1.99x: a boolean, then the method and the name of the program.
        ("callAPI", *call, False),
        ("callAPI", *call, True),
        ("callAPI", *call, False, "POST", "MANTRA"),
        ("callAPI", f"{json_face}gema", "", KEY, values, "GET"),
        ("callAPI", "json/prov/data", "gema", KEY, values),
        ("callAPI", "http://Lama.contoh.go.id/mantra/json/prov/data", "gema", f"{KEY}\n", values),
        ("mantra_request_id",),
        base=bus,
        MANTRA_OLD_URL="http://lama.contoh.go.id/",
    )
    assert array == by_method == older_array == older_post == whole == relative == moved == table
    assert json.loads(as_json) == {"response": {**OK, "data": {"gema": {"0": values}}}}
    assert as_xml == older_xml
    assert re.sub(r"\s*\n\s*", "", as_xml) == (
        '<?xml version="1.0" encoding="UTF-8"?><response><status>1</status><code>200</code><message>OK</message>'
        "<data><gema><a>1</a><b>2</b></gema></data></response>"
    )
    assert re.fullmatch(r"[0-9a-f]{32}", number)


def test_what_can_go_wrong(bus: str, tmp_path: Path, refusing_port: int) -> None:
    key = "b" * 10
    calls = (
        ("callAPI", "", "gema"),
        ("callAPI", f"{bus}/json/prov/data", "gema", key, {"a": "1", "b": "2"}),
        ("callAPI", f"{bus}/json/prov/data", "gema"),
        ("callAPI", f"http://127.0.0.1:{refusing_port}", "gema"),
        ("callAPI", f"{bus}/rest/prov", "gema"),
        ("callAPI", "file:///etc/passwd", ""),
        ("callAPI", f"{bus}/json", "gema", "kunci\r\nX-Lain: 1"),
        ("getAPIXML", "", "gema"),
    )
    for php in ((), STREAMS):
        *results, as_xml, _printed = run(tmp_path, *calls, php=php)
        assert [result["response"]["code"] for result in results] == [20001, 10002, 10001, 7, 22, 3, 3]
        assert all(result["response"]["status"] == 0 and result["response"]["data"] == "" for result in results)
        assert "<code>20001</code>" in as_xml


ODD = ({"a": "Dinas 3", "b": "x/y"}, {"a": "é & b=c", "b": "100%25"}, {"a": "+%2B", "b": "0"}, {"a": "", "b": "?#"})


@pytest.mark.parametrize("php", [(), STREAMS], ids=["curl", "streams"])
def test_it_sends_what_programs_of_1_99x_send(tmp_path: Path, php: tuple[str, ...]) -> None:
    with serve_upstream(Answer(b"{}")) as upstream:
        url = f"{upstream.url}/json/prov/data"
        run(tmp_path, *(("callAPI", url, "gema", KEY, values, style) for style in STYLES for values in ODD), php=php)
        ours = _sent(upstream)
        calls = [
            {"url": url, "method": "gema", "key": KEY, "values": values, "style": style, "sent": ""}
            for style in STYLES
            for values in ODD
        ]
        subprocess.run(["php", str(CALLER)], input=json.dumps(calls), text=True, capture_output=True, check=True)
        assert ours == _sent(upstream)


def _sent(upstream: Upstream) -> list[tuple[str, ...]]:
    """What the upstream got since the last time."""
    names = ("User-Agent", "AccessKey", "Content-Type")
    received, upstream.received[:] = list(upstream.received), []
    # A slash at the end means nothing, and the stock client leaves it out.
    return [
        (each.method, each.path.rstrip("/"), each.body.decode(), *(each.header(name) for name in names))
        for each in received
    ]


def test_documents_of_other_servers(tmp_path: Path) -> None:
    bodies: dict[bytes, Any] = {
        b'{"suhu": 27.5}': {"suhu": 27.5},
        b"a:1:{s:1:\"a\";i:1;}": {"a": 1},
        b'O:8:"stdClass":1:{s:1:"a";i:1;}': {"__PHP_Incomplete_Class_Name": "stdClass", "a": 1},
        b"OK": "OK",
        b"": "",
        b"[1]": "[1]",
        b'<?xml version="1.0"?><h k="1"><n l="id"> Siti </n><n/><c><![CDATA[<x>]]></c></h>': {
            "h": {"n": [{"@value": "Siti", "@attributes": {"l": "id"}}, ""], "c": {"@cdata": "<x>"},
                  "@attributes": {"k": "1"}}
        },
        b"<?xml version='1.0'?><a>": "[XML2Array] Error parsing the XML string.",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>":
            "[XML2Array] A document type is not allowed.",
    }  # fmt: skip
    given = iter(bodies)
    with serve_upstream(lambda _received: Answer(next(given))) as upstream:
        *results, _printed = run(tmp_path, *(("callAPI", upstream.url, "x") for _body in bodies))
    for (body, expected), result in zip(bodies.items(), results, strict=True):
        response = result["response"]
        assert (response["data"] if response["status"] else response["message"]) == expected, body
        assert response["code"] == (200 if response["status"] else 20003)


def test_arrays_and_xml(tmp_path: Path) -> None:
    data = {
        "a b": {"0": {"x": True}, "1": {"x": None}},
        "c": {"@attributes": {"k": "<"}, "@value": "é"},
        "d": {"@cdata": "<"},
    }
    xml, again, dimensions, encoded, decoded, wrong, _ = run(
        tmp_path,
        ("setArray2XML", "h", data),
        ("setXML2Array", "<?xml version='1.0'?><h><a>1</a><a>2</a><b><c>3</c></b></h>"),
        ("count_dimension", {"a": {"b": [1]}}),
        ("enc64data", "abc"),
        ("dec64data", "jJWY"),
        ("Array2XML::createXML", "h", {"1x": 1}),
    )
    assert re.sub(r"\n\s*", "", xml).partition("?>")[2] == (
        '<h><a_b><x>true</x></a_b><a_b><x></x></a_b><c k="&lt;">é</c><d><![CDATA[<]]></d></h>'
    )
    assert again == {"h": {"a": ["1", "2"], "b": {"c": "3"}}}
    assert (dimensions, encoded, decoded) == (3, "jJWY", "abc")
    assert wrong == "Exception: [Array2XML] Illegal character in tag name. tag: 1x in node: h"


def test_tables(tmp_path: Path) -> None:
    rows = {str(n): {"nama": f"<b>{n}", "unit": None} for n in range(1, 8)}
    *_returned, printed = run(tmp_path, ("printScript",), ("view_table", {"status": 1, "data": {"gema": rows}}, "gema"))
    assert printed.count("<table") == 2
    assert "&lt;b&gt;7" in printed and "<b>" not in printed and "<script" not in printed
    assert "Data: 2 halaman" in printed


def test_the_download(db: None, settings: Any) -> None:
    settings.BASE_URL = "https://bus.contoh.go.id"
    answer = Client().get("/catalog/unduh/adapter.php")
    assert answer["Content-Disposition"] == 'attachment; filename="adapter.php"'
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    text = answer.content.decode()
    assert text.startswith("<?php\n")
    assert "'MANTRA_URL' => \"https://bus.contoh.go.id\"," in text
    assert "@MANTRA_URL@" not in text
    assert Client().get("/catalog/unduh/lain.php").status_code == 404


def test_it_has_no_syntax_later_than_php_5_3() -> None:
    """What later versions added, as far as a program might use it unawares."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", adapter(""), flags=re.S)
    code = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", text)
    later = {
        "short arrays (5.4)": r"[=(,]\s*\[|return\s*\[", "traits (5.4)": r"\btrait\b", "finally (5.5)": r"\bfinally\b",
        "generators (5.5)": r"\byield\b", "variadics (5.6)": r"\.\.\.", "** (5.6)": r"\*\*", "?? (7.0)": r"\?\?",
        "<=> (7.0)": "<=>", "types (7.0)": r"\)\s*:\s*\??\w+\s*\{|\((?:int|string|bool|\?)\s+\$", "?-> (8.0)": r"\?->",
        "const arrays (5.6)": r"\bconst\b", "array dereferencing (5.4)": r"\)\[", "match (8.0)": r"\bmatch\s*\(",
        "::class (5.5)": "::class", "fn (7.4)": r"\bfn\s*\(", "use function (5.6)": r"\buse\b",
        "empty() of results (5.5)": r"\b(?:empty|isset)\(\s*\w+\(",
    }  # fmt: skip
    assert {name for name, pattern in later.items() if re.search(pattern, code)} == set()

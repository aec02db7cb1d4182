"""Clients of four languages, and what .NET writes, call a running bus: each type there is, and the ways to fail."""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import zeep
import zeep.exceptions
from lxml import etree
from zeep.wsse.username import UsernameToken

from tests.soap.running import COLUMNS, ECHO, FIRST, PARAMETERS, SECOND, THIRD, Running
from tests.soap.wire import ENVELOPES, MEDIA_TYPES, XSI

HERE = Path(__file__).parent
NAMESPACE = "urn:mantra:prov:jenis"
M = f"{{{NAMESPACE}}}"
BOTH = pytest.mark.parametrize("version", ["1.1", "1.2"])
CALLER = {"1.1": "Client", "1.2": "Sender"}
NIL = dict.fromkeys(PARAMETERS)
FREE = [{"nomor": "1", "nama_x0020_lengkap": FIRST["teks"]}, {"nomor": "3", "nama_x0020_lengkap": None}]
DOCUMENT = {"nama": "Siti 007", "anak": {"item": [{"umur": "4"}, None]}, "alamat": None, "_x0031__x0020_x": "true"}
OK = [1, 200, "OK", 3, False]
#: Fault → its code and title.
FAULTS = {
    "key": (10001, "key-missing"), "missing": (11101, "parameter-missing"), "value": (11102, "parameter-invalid"),
    "unknown": (10002, "operation-unknown"),
}  # fmt: skip


def ran(words: list[str], given: Any = None, **more: Any) -> Any:
    """What a client program printed."""
    done = subprocess.run(
        words, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120, **more
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def held_faults(found: dict[str, Any], running: Running, version: str, expected: set[str]) -> None:
    """Each fault is the one that it should be, with what the WSDL declares, and is on record."""
    assert set(found) == expected
    records = running.ends()
    for name, told in found.items():
        code, title = FAULTS[name]
        assert (int(told["code"]), told["title"], told["party"]) == (code, title, "caller")
        assert told.get("soap", CALLER[version]) == CALLER[version]
        assert told["message"]
        assert records[told["request_id"]]["code"] == code


def noted(running: Running) -> list[str]:
    """What the writing operation has written, the last first."""
    connection = psycopg2.connect(running.source.dsn())
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT isi FROM catatan ORDER BY nomor DESC")
        found = [isi for (isi,) in cursor]
    connection.close()
    return found


# ------------------------------------------------------------------------------------------- zeep


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_zeep_with_the_wsdl_of_one_version(running: Running, version: str) -> None:
    session = requests.Session()
    session.trust_env = False
    transport = zeep.Transport(session=session)
    made = zeep.Client(f"{running.url}?wsdl={version}", transport=transport)
    (service,) = made.wsdl.services.values()
    (port,) = service.ports.values()
    assert port.binding.name.localname == f"jenisSoap{version.replace('.', '')}"
    found = made.service.satu(id=1, _soapheaders={"AccessKey": running.key})
    assert [row.nomor for row in found.data.row] == [1]


def client(running: Running, version: str, **more: Any) -> Any:
    session = requests.Session()
    session.trust_env = False
    port = f"jenisSoap{version.replace('.', '')}"
    return zeep.Client(
        f"{running.url}?wsdl", port_name=port, transport=zeep.transports.Transport(session=session), **more
    )


@BOTH
@pytest.mark.parametrize("way", ["http", "basic", "soap", "wsse"])
def test_zeep(running: Running, version: str, way: str) -> None:
    more = {"wsse": UsernameToken("siapa", running.key)} if way == "wsse" else {}
    made = client(running, version, **more)
    if way == "http":
        made.transport.session.headers["AccessKey"] = running.key
    elif way == "basic":
        made.transport.session.auth = ("siapa", running.key)
    elif way == "soap":
        made.set_default_soapheaders({"AccessKey": running.key})
    service = made.service

    answer = service.nilai()
    assert [answer[name] for name in ("status", "code", "message", "count", "truncated")] == OK
    first, second, third = answer.data.row
    assert [first[name] for name in COLUMNS] == [
        1, FIRST["teks"], 2**63 - 1, Decimal("12345678901234567890.1230"), 1.5e300, True, datetime.date(2024, 2, 29),
        datetime.time(8, 0, 0, 500_000), datetime.datetime(2026, 1, 31, 8, 0, 0, 123456),
        datetime.datetime(2026, 1, 31, 1, tzinfo=datetime.UTC),
        datetime.timedelta(days=1, hours=2, minutes=3, seconds=4), b"\x00\xff", FIRST["jason"], FIRST["kode"],
    ]  # fmt: skip
    assert str(first.desimal) == FIRST["desimal"]
    assert [second[name] for name in COLUMNS] == [
        2, None, -(2**63), Decimal("0.00"), float("-inf"), False, datetime.date.min, datetime.time(23, 59, 59),
        datetime.datetime(9999, 12, 31, 23, 59, 59), datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
        datetime.timedelta(), None, "[]", SECOND["kode"],
    ]  # fmt: skip  # zeep's own reading of an empty element is None
    assert [third[name] for name in COLUMNS] == [3] + [None] * 13

    typed = {
        "bulat": int(ECHO["bulat"]), "desimal": Decimal(ECHO["desimal"]), "ya": True,
        "hari": datetime.date(2026, 1, 31), "saat": datetime.datetime(2026, 1, 31, 8),
    }  # fmt: skip
    (echo,) = service.gema(**ECHO | typed).data.row
    assert {name: echo[name] for name in PARAMETERS} == ECHO | typed
    (echo,) = service.gema(teks=None).data.row
    assert {name: echo[name] for name in PARAMETERS} == NIL

    nothing = service.kosong()
    assert (nothing.data, nothing.count) == (None, 0)
    one, other = service.bebas().data.row
    assert [cell.text for cell in one] == ["1", FIRST["teks"]]
    assert [(cell.text, cell.get(f"{{{XSI}}}nil")) for cell in other] == [("3", None), (None, "true")]
    assert service.catat(isi=f"zeep {version} {way} \U0001f600").affected == 1
    assert noted(running)[0] == f"zeep {version} {way} \U0001f600"
    document = service.telusur(nip="7").data
    assert [etree.QName(each).localname for each in document] == list(DOCUMENT)
    assert (document[0].text, document[1][0][0].text) == ("Siti 007", "4")
    assert len(service.banyak(jumlah=3000).data.row) == 3000

    stranger = client(running, version)
    unknown = made.wsdl.bindings[f"{M}jenisSoap{version.replace('.', '')}"]._operations["kosong"]
    unknown.input.body = zeep.xsd.Element(f"{M}tidakada", zeep.xsd.ComplexType([]))
    found = {}
    for name, call in {
        "value": lambda: service.satu(id=-1),
        "missing": lambda: service.satu(id=zeep.xsd.SkipValue),
        "key": lambda: stranger.service.satu(id=1),
        "unknown": lambda: service.kosong(),
    }.items():
        with pytest.raises(zeep.exceptions.Fault) as met:
            call()
        detail = made.get_element(f"{M}Fault").parse(met.value.detail[0], made.wsdl.types)  # type: ignore[index]
        assert met.value.message == detail.message
        soap = (met.value.code or "").rpartition(":")[2]
        found[name] = {each: detail[each] for each in ("code", "title", "party", "message", "request_id")} | {
            "soap": soap
        }
    held_faults(found, running, version, set(FAULTS))


# -------------------------------------------------------------------------------------------- PHP


@BOTH
@pytest.mark.parametrize("way", ["http", "basic", "soap", "wsse"])
@pytest.mark.parametrize("cache", ["none", "disk"])
def test_php(running: Running, version: str, way: str, cache: str, tmp_path: Path) -> None:
    program = [
        "php",
        "-d",
        f"soap.wsdl_cache_dir={tmp_path}",
        "-d",
        "soap.wsdl_cache_enabled=1",
        str(HERE / "clients/client.php"),
    ]
    words = [*program, f"{running.url}?wsdl", running.url, running.key, version, way, cache]
    for _time in range(2 if cache == "disk" else 1):
        found = ran(words, ECHO | {"ya": True})
        typed = {"nomor": 1, "bulat": 2**63 - 1, "pecahan": 1.5e300, "ya": True, "bita": {"base64": "AP8="}}
        other = {"nomor": 2, "bulat": -(2**63), "ya": False}
        assert found["nilai"] == {"class": "Baris", "rows": [FIRST | typed, SECOND | other, THIRD | {"nomor": 3}]}
        assert found["envelope"] == OK
        assert found["gema"] == ECHO | {"bulat": int(ECHO["bulat"]), "ya": True}
        assert found["gema_nil"] == NIL
        assert (found["kosong"], found["bebas"], found["catat"]) == ([[], 0], FREE, 1)
        assert (found["telusur"], found["banyak"], found["functions"]) == (DOCUMENT, 3000, 16)
        assert noted(running)[0] == "Sitī \U0001f600"
        # It refuses by itself to leave out what the WSDL requires.
        held_faults(found["faults"], running, version, {"key", "value"})
    assert len(list(tmp_path.glob("wsdl-*"))) == (1 if cache == "disk" else 0)


@BOTH
def test_php_without_the_wsdl(running: Running, version: str) -> None:
    found = ran(["php", str(HERE / "clients/client.php"), "-", running.url, running.key, version, "http", "none"])
    assert found["satu"]["data"] == {"row": {"nomor": "1", "teks": FIRST["teks"]}}
    held_faults(found["faults"], running, version, {"unknown"})


@BOTH
@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_f17_php_may_compress_its_requests(running: Running, version: str, compression: str) -> None:
    words = [f"{running.url}?wsdl", running.url, running.key, version, "soap", "none", compression]
    found = ran(["php", str(HERE / "clients/client.php"), *words], ECHO | {"ya": True})
    assert found["gema"] == ECHO | {"bulat": int(ECHO["bulat"]), "ya": True}


# ------------------------------------------------------------------------------------------- Java


@pytest.fixture(scope="module")
def java(running: Running, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that run the client which wsimport makes of the served WSDL."""
    folder = tmp_path_factory.mktemp("java")
    jars = "/usr/share/jaxws/lib/*"
    subprocess.run(
        ["wsimport", "-extension", "-quiet", "-Xnocompile", "-XadditionalHeaders", "-p", "contoh", "-s", str(folder),
         f"{running.url}?wsdl"],
        check=True,
        timeout=120,
    )  # fmt: skip
    sources = [str(each) for each in folder.glob("contoh/*.java")]
    words = [
        "javac",
        "-encoding",
        "UTF-8",
        "-nowarn",
        "-d",
        str(folder),
        "-cp",
        jars,
        *sources,
        str(HERE / "clients/Client.java"),
    ]
    subprocess.run(words, check=True, timeout=120)
    return ["java", "-cp", f"{folder}:{jars}", "Client", f"{running.url}?wsdl", running.key]


@BOTH
@pytest.mark.parametrize("way", ["http", "soap"])
def test_java(running: Running, java: list[str], version: str, way: str) -> None:
    found = ran([*java, version, way])
    infinite = {"pecahan": "-Infinity"}
    assert found["nilai"] == [FIRST | {"pecahan": "1.5E300"}, SECOND | infinite, THIRD]
    assert found["envelope"] == OK
    assert (found["gema"], found["gema_nil"], found["kosong"]) == (ECHO, NIL, [0, 0])
    assert (found["bebas"], found["catat"], found["banyak"]) == (FREE, "1", 3000)
    assert found["telusur"] == DOCUMENT | {"anak": {"item": {"umur": "4"}, "item2": None}}
    held_faults(found["faults"], running, version, set(FAULTS))


_AXIS = ":".join(
    f"/usr/share/java/{name}.jar"
    for name in ("axis", "axis-jaxrpc", "axis-saaj", "wsdl4j", "commons-discovery", "commons-logging")
)


@pytest.fixture(scope="module")
def axis(running: Running, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that run the client which Axis 1.4 makes of the WSDL of SOAP 1.1 alone."""
    folder = tmp_path_factory.mktemp("axis")
    wsdl2java = ["java", "-cp", _AXIS, "org.apache.axis.wsdl.WSDL2Java", "-p", "contoh", "-o", str(folder)]
    subprocess.run([*wsdl2java, f"{running.url}?wsdl=1.1"], check=True, timeout=120, capture_output=True)
    sources = [*map(str, folder.rglob("*.java")), str(HERE / "clients/Axis.java")]
    words = ["javac", "-encoding", "UTF-8", "-nowarn", "-d", str(folder), "-cp", _AXIS, *sources]
    subprocess.run(words, check=True, timeout=120, capture_output=True)
    return ["java", "-cp", f"{folder}:{_AXIS}", "Axis", running.url, running.key]


@pytest.mark.parametrize("way", ["http", "soap"])
def test_f13_axis_1(running: Running, axis: list[str], way: str) -> None:
    done = subprocess.run([*axis, way], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    request_id = told.pop("request_id")
    assert told == {
        "envelope": "1 200 OK 3", "bulat": FIRST["bulat"], "desimal": FIRST["desimal"], "ya": "true",
        "kode": FIRST["kode"], "kosong": "null", "satu": "1", "fault": "11102 parameter-invalid caller",
    }  # fmt: skip
    assert running.ends()[request_id]["code"] == 11102


# ------------------------------------------------------------------------------------------- node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's folder with its libraries, where npm can fetch them."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "client.js"):
        shutil.copy(HERE / "clients" / "node" / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm cannot fetch node-soap: {' '.join(re.findall('npm error code (.+)', done.stderr)) or '?'}")
    return folder


@BOTH
@pytest.mark.parametrize("way", ["http", "basic", "soap", "wsse"])
def test_node_soap(running: Running, node: Path, version: str, way: str) -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    words = ["node", "client.js", f"{running.url}?wsdl", running.key, version, way]
    found = ran(words, ECHO | {"ya": True}, cwd=node, env=quiet)
    # The library makes null of an empty element that is no string.
    assert found["nilai"] == [FIRST | {"ya": True}, SECOND | {"ya": False, "bita": None}, THIRD]
    assert found["envelope"] == OK
    assert (found["gema"], found["gema_nil"]) == (ECHO | {"ya": True}, NIL)
    assert (found["kosong"], found["bebas"], found["catat"], found["banyak"]) == ([None, 0], FREE, "1", 3000)
    assert found["telusur"] == DOCUMENT
    assert noted(running)[0] == "Sitī \U0001f600"
    held_faults(found["faults"], running, version, {"key", "missing", "value"})


# ------------------------------------------------------------------------------------------- .NET


@pytest.mark.parametrize("name", ["dotnet-wcf-style-1.1", "dotnet-wcf-style-1.2", "dotnet-asmx-style-1.1"])
def test_what_dotnet_writes(running: Running, name: str) -> None:
    """No .NET was asked: these are requests in the shape that its documentation gives them, byte for byte."""
    head, _blank, body = (HERE / "golden" / f"{name}.http").read_text().partition("\n\n")
    sent = body.strip().replace("{key}", running.key).encode()
    host = running.base.removeprefix("http://")
    basic = base64.b64encode(f"siapa:{running.key}".encode()).decode()
    for place, value in {"key": running.key, "host": host, "length": str(len(sent)), "basic": basic}.items():
        head = head.replace(f"{{{place}}}", value)
    address, _colon, port = host.partition(":")
    with socket.create_connection((address, int(port)), timeout=20) as connection, connection.makefile("rb") as answers:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        # It holds the envelope back until it is told to go on.
        assert answers.readline().startswith(b"HTTP/1.1 100 ")
        assert answers.readline() == b"\r\n"
        connection.sendall(sent)
        assert answers.readline().startswith(b"HTTP/1.1 200 ")
        headers = {}
        while line := answers.readline().strip():
            title, _colon, value = line.decode().partition(":")
            headers[title.lower()] = value.strip()
        content = answers.read(int(headers["content-length"]))
    assert headers["content-type"].startswith(MEDIA_TYPES[name[-3:]] + ";")
    (row,) = etree.fromstring(content).iterfind(f".//{M}row")
    cells = {etree.QName(cell).localname: None if cell.get(f"{{{XSI}}}nil") else cell.text for cell in row}
    assert cells == ECHO | {"nik": None}


# ------------------------------------------------------------------------------------------- curl


def curl(running: Running, version: str, body: str, *more: str) -> tuple[int, etree._Element]:
    """The status and what stands in the Body."""
    words = ["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code} %{content_type}", "--data-binary", "@-", *more]
    words += ["-H", f"Content-Type: {MEDIA_TYPES[version]}", running.url]
    opening = f'<s:Envelope xmlns:s="{ENVELOPES[version]}" xmlns:xsi="{XSI}">'
    sent = f"{opening}<s:Body>{body}</s:Body></s:Envelope>"
    done = subprocess.run(words, input=sent, capture_output=True, text=True, check=True, timeout=60)
    content, _line, said = done.stdout.rpartition("\n")
    status, _space, media_type = said.partition(" ")
    assert media_type == f"{MEDIA_TYPES[version]}; charset=utf-8"
    return int(status), etree.fromstring(content.encode())[-1][0]


def cells(row: etree._Element) -> dict[str, str | None]:
    nil = f"{{{XSI}}}nil"
    return {etree.QName(cell).localname: None if cell.get(nil) == "true" else cell.text or "" for cell in row}


@BOTH
@pytest.mark.parametrize("way", ["AccessKey: {}", "Authorization: Bearer {}", "Authorization: Basic {}"])
def test_curl(running: Running, version: str, way: str) -> None:
    token = base64.b64encode(f"siapa:{running.key}".encode()).decode() if "Basic" in way else running.key
    given = ("-H", way.format(token))
    namespace = f'xmlns="{NAMESPACE}"'
    _status, answer = curl(running, version, f"<nilai {namespace}/>", *given)
    assert [cells(row) for row in answer.iterfind(f"{M}data/{M}row")] == [FIRST, SECOND, THIRD]
    schema = etree.XMLSchema(etree.fromstring(running.http.request("GET", f"{running.url}?xsd").data))
    schema.assertValid(etree.ElementTree(answer))
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in ECHO.items())
    _status, answer = curl(running, version, f"<gema {namespace}>{inner}</gema>", *given)
    assert [cells(row) for row in answer.iterfind(f"{M}data/{M}row")] == [ECHO]
    _status, answer = curl(running, version, f'<gema {namespace}><teks xsi:nil="true"/></gema>', *given)
    assert [cells(row) for row in answer.iterfind(f"{M}data/{M}row")] == [NIL]
    found = {}
    for name, body, more in (
        ("missing", f"<satu {namespace}/>", given), ("value", f"<satu {namespace}><id>x</id></satu>", given),
        ("unknown", f"<tidakada {namespace}/>", given), ("key", f"<satu {namespace}><id>1</id></satu>", ()),
    ):  # fmt: skip
        status, answer = curl(running, version, body, *more)
        assert status == (500 if version == "1.1" else 400)
        (detail,) = answer[2]
        schema.assertValid(etree.ElementTree(detail))
        code = answer[0].text if version == "1.1" else answer[0][0].text
        found[name] = cells(detail) | {"soap": (code or "").rpartition(":")[2]}
    held_faults(found, running, version, set(FAULTS))

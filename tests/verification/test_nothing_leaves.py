"""No stored value, nor a part of one, is in any byte that a verifying caller, a journal or a log gets."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg2
import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dataservices.models import DataSource
from mantra.gateway.formats import FORMATS
from registry import faults
from registry.models import AccessKey, Operation
from registry.snapshot import holder
from tests.cast import Cast, Reply, call, recorded
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.servers.postgresql import PostgreSQLServer
from tests.soap import wire
from tests.verification.people import Verifying, make_people, verifying

#: The key of the person of a test, and one that nobody has.
NIK, NOBODY = "3301010101010001", "3301010101010002"
FORM = "application/x-www-form-urlencoded"
FIELDS = (
    {"name": "nama", "rule": "name"},
    {"name": "lahir", "rule": "date"},
    {"name": "alamat", "rule": "address"},
    {"name": "telepon", "rule": "phone"},
    {"name": "saldo", "rule": "number"},
)
#: The shortest part of a value that must not be seen.
LENGTH = 4

Person = dict[str, Any]
Sent = dict[str, str]

_words = st.text("bdgjkqvwxzaiou", min_size=5, max_size=9).map(str.capitalize)
people = st.fixed_dictionaries(
    {
        "nama": st.lists(_words, min_size=2, max_size=3).map(" ".join),
        "lahir": st.dates(date(1920, 1, 1), date(1999, 12, 31)).map(str),
        "alamat": st.tuples(_words, st.integers(100, 9999)).map(lambda each: f"Jl. {each[0]} No. {each[1]}"),
        "telepon": st.integers(10_000_000, 99_999_999).map(lambda number: f"0813{number}"),
        "saldo": st.integers(1_000_000, 9_999_999),
    }
)
#: What callers send: of the form of each field, or anything.
inputs = st.fixed_dictionaries(
    {},
    optional={
        "nama": st.one_of(_words, st.text(max_size=30)),
        "lahir": st.one_of(st.dates().map(str), st.text(max_size=12)),
        "alamat": st.one_of(_words, st.text(max_size=30)),
        "telepon": st.one_of(st.integers(1, 10**12).map(str), st.text(max_size=12)),
        "saldo": st.one_of(st.integers().map(str), st.text(max_size=12)),
    },
).map(lambda sent: {name: value.replace("\0", "").replace("\ud800", "") for name, value in sent.items()})


def store(person: Person) -> None:
    with sqlite3.connect(make_people()) as made:
        made.execute(
            "INSERT OR REPLACE INTO penduduk VALUES (?, :nama, :lahir, :alamat, :telepon, :saldo)".replace("?", ":nik"),
            {"nik": NIK, **person},
        )
    made.close()


def encoded(sent: Sent) -> str:
    from urllib.parse import urlencode

    return urlencode(sent, errors="surrogatepass")


def _rest(format: str) -> Callable[[str, Sent], Reply]:
    return lambda key, sent: call(f"/rest/prov/data/cek.{format}?{encoded(sent)}", accesskey=key)


def _soap(version: str) -> Callable[[str, Sent], Reply]:
    def ask(key: str, sent: Sent) -> Reply:
        from mantra.gateway.formats.markup import escape

        inner = "".join(f"<m:{name}>{escape(value)}</m:{name}>" for name, value in sent.items())
        body = wire.envelope("cek", inner, version).encode("utf-8", "replace")
        return wire.post(body, version, accesskey=key)

    return ask


def _legacy(face: str) -> Callable[[str, Sent], Reply]:
    return lambda key, sent: call(f"/{face}/prov/data/cek?{encoded(sent)}", accesskey=key, user_agent="MANTRA")


WIRES: dict[str, Callable[[str, Sent], Reply]] = {
    **{f"rest.{format}": _rest(format) for format in FORMATS},
    "rest POST": lambda key, sent: call("/rest/prov/data/cek", "POST", encoded(sent), accesskey=key, content_type=FORM),
    "rest JSON": lambda key, sent: call(
        "/rest/prov/data/cek", "POST", json.dumps(sent), accesskey=key, content_type="application/json"
    ),
    "rest HEAD": lambda key, sent: call(f"/rest/prov/data/cek?{encoded(sent)}", "HEAD", accesskey=key),
    "rest OPTIONS": lambda key, sent: call(f"/rest/prov/data/cek?{encoded(sent)}", "OPTIONS", accesskey=key),
    "rest etag": lambda key, sent: call(f"/rest/prov/data/cek?{encoded(sent)}", accesskey=key, if_none_match="*"),
    **{f"soap {version}": _soap(version) for version in ("1.1", "1.2")},
    **{f"legacy {face}": _legacy(face) for face in ("json", "xml", "api")},
}


def seen(reply: Reply) -> str:
    """Return all that a caller gets, without what is random or the time."""
    request_id = reply.headers.get("x-request-id", "-")
    left_out = ("x-request-id", "retry-after", "ratelimit", "date")
    headers = "\n".join(f"{name}: {value}" for name, value in sorted(reply.headers.items()) if name not in left_out)
    bodies = [reply.body]
    if reply.body[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(reply.body)) as file:
            bodies = [file.read(name) for name in file.namelist() if name != "docProps/core.xml"]  # the time
            headers = "\n".join(line for line in headers.splitlines() if not line.startswith("content-length"))
    texts = (body.decode("utf-8", "replace").replace(request_id, "") for body in bodies)
    return "\n".join((str(reply.status), headers, *texts))


def parts(person: Person) -> Iterator[str]:
    """Yield all parts of a person's values, as stored and in the forms into which they may be brought."""
    year, month, day = str(person["lahir"]).split("-")
    digits = [f"{year}{month}{day}", f"{day}-{month}-{year}", f"{day}/{month}/{year}"]
    phone = str(person["telepon"])
    forms = [*map(str, person.values()), *digits, f"62{phone[1:]}", person["nama"].lower(), person["nama"].upper()]
    for text in forms:
        for at in range(len(text) - LENGTH + 1):
            yield text[at : at + LENGTH]


def journalled() -> str:
    """Return the journal without times, ids and keyed hashes."""
    left_out = ("id", "at", "us", "subjects", "by", "op", "chain")
    lines = ({name: value for name, value in line.items() if name not in left_out} for line in recorded())
    return "\n".join(map(str, lines))


@pytest.fixture
def made(cast: Cast) -> Verifying:
    found = verifying(cast, fields=FIELDS, tries=1000, tries_of_all=1000)
    AccessKey.import_legacy(cast.application, "aaaaaaaaaa", Operation.objects.get(code="cek"))
    holder.refresh()
    return found


def key_for(cast: Cast, name: str) -> str:
    return "aaaaaaaaaa" if name.startswith("legacy") else cast.key


_some = hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize("granted", ["", "sesuai\nnama_sesuai\nnama_kemiripan\nalamat_kemiripan"])
@pytest.mark.parametrize("hides", [False, True])
def test_no_part_of_a_value_is_seen(
    cast: Cast, made: Verifying, granted: str, hides: bool, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mantra.verification.runner._sleep", lambda _seconds: None)
    made.grant.fields = granted
    made.grant.save()
    made.operation.hides_existence = hides
    made.operation.save()
    holder.refresh()
    caplog.set_level(logging.DEBUG)

    @_some
    @given(people, inputs)
    def check(person: Person, sent: Sent) -> None:
        store(person)
        caplog.clear()
        text = "\n".join(seen(ask(key_for(cast, name), {"nik": NIK, **sent})) for name, ask in WIRES.items())
        # What is in the responses about a key that nobody has is not of this person: names of columns, namespaces.
        known = "\n".join(seen(ask(key_for(cast, name), {"nik": NOBODY, **sent})) for name, ask in WIRES.items())
        said = text + caplog.text
        found = {part for part in parts(person) if part in said and part not in known}
        if any(part in encoded(sent) or any(part in value for value in sent.values()) for part in found):
            return  # the caller knew it
        assert not found

    check()
    assert any(line["t"] == "end" and line["code"] == 200 for line in recorded())


def test_the_journal_has_names_only(cast: Cast, made: Verifying) -> None:
    person = {"nama": "Xivqo Zuwaka", "lahir": "1957-08-23", "alamat": "Jl. Qodziv No. 7731", "telepon": "081377315528",
              "saldo": 7_731_552}  # fmt: skip
    store(person)
    sent = {"nama": "Xivqo Zuwaka", "lahir": "23-08-1957", "telepon": "+6281377315528"}
    for name, ask in WIRES.items():
        ask(key_for(cast, name), {"nik": NIK, **sent})
    text = journalled()
    assert "nama_sesuai" in text
    assert not {part for part in parts(person) if part in text}


@_some
@given(first=people, second=people, sent=inputs)
def _same_comparison(cast: Cast, first: Person, second: Person, sent: Sent) -> None:
    """Where the comparisons of two people come to the same, every byte is the same: it depends on nothing else."""
    answers: list[dict[str, str]] = []
    verdicts = []
    for person in (first, second):
        store(person)
        asked = {"nik": NIK, **sent}
        answers.append({name: seen(ask(key_for(cast, name), asked)) for name, ask in WIRES.items()})
        verdicts.append(WIRES["rest.json"](cast.key, asked).body if answers[-1]["rest.json"][:3] == "200" else b"")
    if verdicts[0] == verdicts[1]:
        assert answers[0] == answers[1]


def test_responses_depend_on_the_comparison_only(cast: Cast, made: Verifying) -> None:
    _same_comparison(cast)


@_some
@given(person=people, sent=inputs)
def _hidden(cast: Cast, person: Person, sent: Sent) -> None:
    store({**person, "nama": f"{person['nama']} Qq"})
    for name, ask in WIRES.items():
        there, nowhere = (seen(ask(key_for(cast, name), {"nik": nik, **sent})) for nik in (NIK, NOBODY))
        if '_sesuai":true' not in there.replace(" ", "") and "true" not in there.partition("\n")[2]:
            assert there == nowhere, name


def test_a_hidden_key_gets_the_same_bytes(cast: Cast, made: Verifying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mantra.verification.runner._sleep", lambda _seconds: None)
    made.operation.hides_existence = True
    made.operation.save()
    holder.refresh()
    _hidden(cast)


def test_a_hidden_key_takes_the_same_time(cast: Cast, made: Verifying, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock of the test's own: whatever reading and comparing take, the response comes at the next step."""
    from mantra.verification import runner

    now = [0.0]
    waited: list[float] = []
    begun: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(runner, "_clock", lambda: now[0])
    monkeypatch.setattr(runner, "_sleep", sleep)
    read = runner.records.read

    def slow(call: Any, *args: Any) -> Any:
        found = read(call, *args)
        begun.append(call.started_monotonic)
        now[0] = begun[-1] + (0.013 if found else 0.002)
        return found

    monkeypatch.setattr(runner.records, "read", slow)
    made.operation.hides_existence = True
    made.operation.save()
    holder.refresh()
    store({"nama": "Xivqo Zuwaka", "lahir": "1957-08-23", "alamat": "", "telepon": "", "saldo": 1})
    lasted = []
    for nik in (NIK, NOBODY):
        assert cast.get("cek", f"nik={nik}&nama=Bukan+Dia").status == 200
        lasted.append(round(now[0] - begun[-1], 6))
    assert lasted == [runner.STEP, runner.STEP]
    assert [round(each, 6) for each in waited] == [0.037, 0.048]


# ------------------------------------------------------------------------------------------- faults


def test_what_a_database_says_of_a_value_goes_nowhere(
    cast: Cast, postgresql: PostgreSQLServer, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL's own error names the value that it cannot convert."""
    with psycopg2.connect(postgresql.dsn()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS rahasia; CREATE TABLE rahasia (nik text, nama text)")
        cursor.execute("INSERT INTO rahasia VALUES ('1', 'Xivqo Zuwaka')")
    connection.close()
    source = DataSource.objects.create(agency=cast.provider, code="pg", **postgresql.source())
    base = cast.define("salah", "SELECT nik, CAST(nama AS integer) AS nama FROM rahasia WHERE nik = :nik",
                       source=source, parameters=({"name": "nik"},))  # fmt: skip
    verifying(cast, base, fields=({"name": "nama", "rule": "name"},))
    caplog.set_level(logging.DEBUG)
    reply = cast.get("cek", "nik=1&nama=Siti")
    assert reply.status >= 500
    for text in (seen(reply), caplog.text, journalled()):
        assert not {part for part in ("Xivq", "ivqo", "Zuwa", "waka") if part in text}


@pytest.mark.parametrize(
    "value", ["{}", '{"depan": "Xivqo"}', '["Xivqo"]', "true", "17", "1.5", "null", '""', '"\\u0000Xivqo"']
)
@pytest.mark.parametrize("rule", ["exact", "text", "name", "date", "number", "phone", "address"])
def test_a_stored_value_of_any_type_is_compared_or_is_none(
    cast: Cast, value: str, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = {"date": "1990-01-01", "number": "18", "phone": "081377315528"}.get(rule, "Zuwaka")
    with serve_upstream(Answer(f'{{"orang": [{{"nama": {value}}}]}}'.encode())) as upstream:
        base = publish_proxy(cast, upstream.url, code="asal", style="rest", path="x", parameters=("nik",))
        verifying(cast, base, fields=({"name": "nama", "rule": rule},))
        reply = cast.get("cek", f"nik=1&nama={sent}")
    row = reply.json()["data"][0]
    assert (row["ditemukan"], row["sesuai"]) == (True, False)
    assert row["nama_sesuai"] in (False, None)
    assert "Xivqo" not in seen(reply) + caplog.text


def test_a_lock_and_other_faults_name_no_value(cast: Cast, made: Verifying) -> None:
    person = {"nama": "Xivqo Zuwaka", "lahir": "1957-08-23", "alamat": "Jl. Qodziv No. 7731", "telepon": "081377315528",
              "saldo": 7_731_552}  # fmt: skip
    store(person)
    made.operation.tries = 1
    made.operation.save()
    holder.refresh()
    for sent in ({"nama": "Bukan"}, {"nama": "Bukan"}, {}, {"lahir": "kapan"}, {"saldo": "banyak"}, {"agama": "x"}):
        for name, ask in WIRES.items():
            text, known = (seen(ask(key_for(cast, name), {"nik": nik, **sent})) for nik in (NIK, NOBODY))
            assert not {part for part in parts(person) if part in text and part not in known}, name
    codes = {line["code"] for line in recorded() if line["t"] == "end"}
    assert {faults.VERIFICATION_LOCKED.code, faults.FIELDS_TOO_FEW.code, faults.PARAMETER_UNKNOWN.code} <= codes


def test_the_public_pages_say_nothing_of_the_base(cast: Cast, made: Verifying) -> None:
    made.operation.listing = "public"
    made.operation.save()
    holder.refresh()
    for address in ("/catalog/prov/data/cek", "/catalog/prov/data/cek/openapi.json", "/catalog/prov/data/"):
        reply = Client().get(address)
        assert reply.status_code in (200, 404), address
        assert b"penduduk" not in reply.content
        assert b"orang" not in reply.content.replace(b"orang lain", b"").replace(b"seorang", b"").replace(
            b"orang per", b""
        )

"""Exchanges through the bus to what is behind it: what an upstream is asked, and how its answers and values come back.

By the rules of 1.99x's program (`original`), byte for byte: F2, F6, F7, F9, F10, F12.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from dataservices.models import DataSource
from tests.cast import Cast, call
from tests.gateway import original
from tests.gateway.original import FORMATS, failure, urlencode, written
from tests.gateway.test_exchanges import MISSING, SEED, random_query
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

PARAMETERS = ("nama", "kode")


def ok(data: Any) -> dict[str, Any]:
    return {"status": 1, "code": 200, "message": "OK", "data": data}


# ----------------------------------------------------------------------------- what an upstream is asked


def asked(style: str, values: dict[str, str]) -> tuple[str, bytes]:
    """The path and the form of the original's request: rest encodes values twice, the others once."""
    once = {name: urlencode(value) for name, value in values.items()}
    pairs = "&".join(f"{name}={value}" for name, value in once.items())
    suffix, form = {
        "rest": ("/" + "&".join(f"{name}={urlencode(value)}" for name, value in once.items()), ""),
        "restfull": ("/" + "/".join(once.values()), ""),
        "restfullpar": ("/" + "/".join(f"{name}/{value}" for name, value in once.items()), ""),
        "get": ("?" + pairs, ""),
        "post": ("", pairs),
    }[style]
    return f"/json/a/l/asal{suffix}", form.encode()


def exact(sent: dict[bytes, bytes]) -> dict[str, str] | None:
    """The parameters of a proxy; None if one is missing."""
    found = {name: sent.get(name.encode(), b"").decode() for name in PARAMETERS}
    return found if all(found.values()) else None


def queries() -> list[str]:
    """Random ones. The original compared names with case and took "0" for nothing, which the bus does not."""
    source = random.Random(SEED + 1)
    made = (random_query(source).replace("kode-wil", "kode") for _ in range(100))
    fit = []
    for text in made:
        sent = original.twice(original.parse_str(text.encode()))
        folded = [name.lower() for name in sent]
        if len(set(folded)) == len(folded) and b"0" not in sent.values() and set(sent) >= {b"nama", b"kode"}:
            fit.append(text)
    return fit


@pytest.mark.parametrize("style", ["rest", "restfull", "restfullpar", "get", "post"])
def test_f2_random_values_reach_an_upstream_as_from_1_99x(cast: Cast, style: str) -> None:
    answer = Answer(b'{"hasil":"ya"}', "text/plain")
    served = 0
    with serve_upstream(answer) as upstream:
        publish_proxy(
            cast, f"{upstream.url}/json/a/l", style=f"legacy-{style}", path="asal", parameters=PARAMETERS,
            upstream={"credential_kind": "access-key", "credential": "kuncihulu1"},
        )  # fmt: skip
        for number, text in enumerate(queries()):
            format = FORMATS[number % 3]
            values = exact(original.twice(original.parse_str(text.encode())))
            reply = call(f"/{format}/prov/data/alias/{text}", accesskey=cast.key)
            expected = ok({"hasil": "ya"}) if values else failure(10005, MISSING)
            assert reply.body == written(expected, format), text
            if values:
                served += 1
                received = upstream.last
                assert (received.path, received.body) == asked(style, values), text
                assert (received.header("User-Agent"), received.header("AccessKey")) == ("MANTRA", "kuncihulu1")
        assert len(upstream.received) == served > 30


# --------------------------------------------------------------------------------- how answers come back

XML = b'<?xml version="1.0"?>'
ENVELOPE = b'{"response":{"status":0,"code":10012,"message":"Hasil \\u0022x\\u0022","data":""}}'
DOCUMENTS: list[tuple[bytes, dict[str, Any]]] = [
    (b'{"suhu":27.5,"hujan":false,"kota":"Gresik/Kota","n":12,"kosong":null}',
     ok({"suhu": 27.5, "hujan": False, "kota": "Gresik/Kota", "n": 12, "kosong": None})),
    (b'{"daftar":[{"a":"1"},{"a":"2"}]}', ok({"daftar": [{"a": "1"}, {"a": "2"}]})),
    (b'{"valid_response":{"a":"1"}}', ok({"valid_response": {"a": "1"}})),
    (ENVELOPE, failure(10012, 'Hasil "x"')),
    (b'a:1:{s:4:"nama";s:7:"Gr\xc3\xa9sik";}', ok({"nama": "Grésik"})),
    (XML + b"<hasil><nama> Siti </nama><kosong/></hasil>", ok({"hasil": {"nama": "Siti", "kosong": ""}})),
    (XML + b"<hasil><a>1</a><a>2</a></hasil>", ok({"hasil": {"a": ["1", "2"]}})),
    (b"OK", ok("OK")),
    (b"", ok("")),
    (b'[{"a":1}]', ok('[{"a":1}]')),
    (b"<html>&amp;</html>", ok("<html>&amp;</html>")),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), DOCUMENTS)
def test_f6_f9_f10_documents_of_an_upstream(cast: Cast, body: bytes, expected: dict[str, Any]) -> None:
    with serve_upstream(Answer(body, "text/plain")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-get", path="asal")
        for format in FORMATS:
            reply = call(f"/mantra/{format}/prov/data/ALIAS", accesskey=cast.key)
            assert (reply.status, reply.body) == (200, written(expected, format))


# ------------------------------------------------------------------------------------ how values come back

#: Expression of SQL → the text that the server sends, which 1.99x handed on.
POSTGRESQL = {
    "7::double precision": "7", "1e20::double precision": "1e+20", "0.0000001::double precision": "1e-07",
    "true": "t", "false": "f", "NULL::boolean": None, "timestamptz '2026-01-31 08:00:00+00'": "2026-01-31 08:00:00+00",
    "interval '1 day 02:03:04'": "1 day 02:03:04", "12.50::numeric": "12.50", "date '2026-01-31'": "2026-01-31",
    "'a/b é'::text": "a/b é", "'{1,2}'::int[]": "{1,2}", "timestamp '2026-01-31 08:00:00'": "2026-01-31 08:00:00",
}  # fmt: skip
MARIADB = {
    "CAST(7 AS double)": "7", "CAST(1e20 AS double)": "1e20", "0.0000001e0": "0.0000001", "12.50": "12.50", "TRUE": "1",
    "CAST('2026-01-31 08:00:00' AS datetime)": "2026-01-31 08:00:00", "CAST('-838:59:59' AS time)": "-838:59:59",
    "CAST('Surat é' AS binary)": "Surat é", "NULL": None, "'a/b é'": "a/b é",
}  # fmt: skip


@pytest.mark.parametrize(("engine", "values"), [("postgresql", POSTGRESQL), ("mariadb", MARIADB)])
def test_f7_f12_values_of_a_database(
    cast: Cast, request: pytest.FixtureRequest, engine: str, values: dict[str, str | None]
) -> None:
    server: PostgreSQLServer | MariaDBServer = request.getfixturevalue(engine)
    given = server.source() | ({"options": {"timezone": "UTC"}} if engine == "postgresql" else {})
    source = DataSource(agency=cast.provider, code=engine, **given)
    source.full_clean()
    source.save()
    columns = ", ".join(f"{expression} AS a{number}" for number, expression in enumerate(values))
    cast.operation("Nilai.v1", f"SELECT {columns}", source=source)
    row = {f"a{number}": text for number, text in enumerate(values.values())}
    for format in FORMATS:
        reply = call(f"/{format}/prov/data/nilai.V1", accesskey=cast.key)
        assert reply.body == written(original.rows("nilai.V1", [row]), format)

"""B07: the text of a response is read in the charset that its upstream states; B23: a CSV by its own separator."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from typing import Any

import pytest

from proxyservices.address_change import compare
from proxyservices.decoders import charset, decode
from proxyservices.decoders.limits import DecodeError
from proxyservices.descriptions.documents import decode_text, fetch
from proxyservices.health.connection_test import check_connection
from proxyservices.models import BackendServer
from tests.cast import Cast, call
from tests.proxy.publishing import publish_proxy
from tests.proxy.upstream import Answer, serve_upstream

NAMES = "José Ñandú"
XML = f"<data><nama>{NAMES}</nama><kota>Café</kota></data>"
RECORD = {"nama": NAMES, "kota": "Café"}
UTF8_AS_1251 = f'<?xml version="1.0" encoding="windows-1251"?>{XML}'.encode()


DOCUMENTS = [
    (XML.encode("latin-1"), "text/xml; charset=ISO-8859-1"),
    (XML.encode("cp1252"), 'application/xml;charset="windows-1252"'),
    (XML.encode("utf-16"), "application/xml; charset=utf-16"),
    (XML.encode("utf-16-le"), "application/xml; charset=UTF-16"),
    (XML.encode("utf-16-be"), "application/xml; charset=utf-16"),
    (XML.encode("utf-16"), "application/xml"),
    (f'<?xml version="1.0" encoding="ISO-8859-1"?>{XML}'.encode("latin-1"), "text/xml"),
    (f'<?xml version="1.0" encoding="iso-8859-1"?>{XML}'.encode("utf-16"), "text/xml; charset=windows-1252"),
    (f"\r\n<?xml version='1.0' encoding='latin1'?>{XML}".encode("latin-1"), "text/xml"),
    (UTF8_AS_1251, "text/xml; charset=utf-8"),
    (codecs.BOM_UTF8 + UTF8_AS_1251, "text/xml; charset=windows-1251"),
    (f'<?xml version="1.0" encoding="utf-16"?>{XML}'.encode(), "text/xml"),
    (f'<?xml version="1.0" encoding="UTF-16"?>{XML}'.encode("utf-16-be"), "text/xml"),
]


def test_b07_xml(cast: Cast) -> None:
    answer = Answer()
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        for answer.body, answer.content_type in DOCUMENTS:
            assert cast.get("alias.json").json() == {"data": RECORD}, (answer.body, answer.content_type)


@pytest.mark.parametrize(
    "codec", ["windows-1251", "koi8-r", "iso-8859-5", "shift_jis", "gb18030", "big5", "euc-kr", "tis-620"]
)
def test_b07_every_charset_of_python(codec: str) -> None:
    text = {"shift_jis": "日本", "gb18030": "中国", "big5": "中國", "euc-kr": "한국", "tis-620": "ไทย"}.get(
        codec, "Москва"
    )
    document = f'<?xml version="1.0" encoding="{codec}"?><kota>{text}</kota>'.encode(codec)
    assert decode(document, "application/xml") == {"kota": text}
    assert decode(f"kota\n{text}\n".encode(codec), f"text/csv; charset={codec.upper()}").rows == [(text,)]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (f"nama,kota\r\n{NAMES},Café\r\n".encode("cp1252"), "text/csv; charset=windows-1252"),
        (f"nama,kota\r\n{NAMES},Café\r\n".encode("utf-16"), "text/csv; charset=utf-16"),
        (f'{{"nama":"{NAMES}","kota":"Café"}}\r\n'.encode("latin-1"), "application/x-ndjson; charset=latin1"),
    ],
)
def test_b07_tables(cast: Cast, body: bytes, media_type: str) -> None:
    with serve_upstream(Answer(body, media_type)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").json()["data"] == [RECORD]


def test_b07_a_json_line_may_hold_any_line_separator() -> None:
    body = '{"a":"x\u2028y\x85z"}\n{"a":"b"}\n'.encode()
    assert decode(body, "application/x-ndjson").rows == [("x\u2028y\x85z",), ("b",)]


def test_b07_json_and_php(cast: Cast) -> None:
    json = f'{{"nama":"{NAMES}","kota":"Café"}}'.encode("latin-1")
    php = f'a:2:{{s:4:"nama";s:10:"{NAMES}";s:4:"kota";s:4:"Café";}}'.encode("latin-1")
    for body, kind in ((json, "application/json"), (php, "application/vnd.php.serialized")):
        with serve_upstream(Answer(body, f"{kind}; charset=ISO-8859-1")) as upstream:
            publish_proxy(cast, upstream.url, style="rest", code=f"a{len(body)}")
            reply = cast.get(f"a{len(body)}.xml")
            assert f"<nama>{NAMES}</nama><kota>Café</kota>" in reply.text


UNREADABLE = [
    (b"<a>\xe9</a>", "application/xml"),
    (b"<a>\xe9</a>", "application/xml; charset=utf-8"),
    (b"<a>x</a>", "application/xml; charset=bukan-charset"),
    (b"<a>x</a>", "application/xml; charset=base64"),
    (b'<?xml version="1.0" encoding="rot13"?><n>x</n>', "application/xml"),
    (b"<a>+ADwAIQ-DOCTYPE</a>", "application/xml; charset=utf-7"),
    (b"\x81", "text/csv; charset=windows-1252"),
    (b'"\xe9"', "application/json"),
]


def test_b07_what_its_charset_does_not_fit_is_a_clear_502(cast: Cast) -> None:
    answer = Answer()
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        for answer.body, answer.content_type in UNREADABLE:
            reply = cast.get("alias.php")
            assert reply.status == 502, answer.content_type
            assert b"11207" in reply.body


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "iso2022_jp", "cp037"])
def test_b07_no_encoding_hides_a_document_type(encoding: str) -> None:
    document = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode(encoding)
    with pytest.raises(DecodeError):
        decode(document, f"application/xml; charset={encoding}")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("ISO-8859-1", "latin_1"), ("iso88591", "latin_1"), ("ISO_8859-1:1987", "latin_1"),
        ("iso-8859-11", "iso8859_11"), ("x-cp1251", "cp1251"), ("windows-874", "cp874"), ("utf8mb4", "utf_8"),
        ("UTF8", "utf_8"), ("x-sjis", "shift_jis"), ("KOI8-U", "koi8_u"), ("gb_2312-80", "gb2312"),
        ("ks_c_5601-1987", "euc_kr"), ("macintosh", "mac_roman"),
    ],
)  # fmt: skip
def test_b07_names_as_servers_write_them(name: str, codec: str) -> None:
    assert charset.codec_of(name) == codec


def test_b07_no_two_codecs_have_one_name() -> None:
    by_name: dict[str, set[str]] = {}
    for name, codec in aliases.items():
        by_name.setdefault(charset._normal(name), set()).add(codec)
    assert [name for name, found in by_name.items() if len(found) > 1] == []


def test_b07_names_of_charsets_from_outside_are_not_remembered() -> None:
    known = len(charset._CODECS)
    for number in range(100):
        with pytest.raises(DecodeError):
            charset.text_of(b"a", f"x-{number}")
    assert len(charset._CODECS) == known


def test_b07_its_own_format_passes_untouched(cast: Cast) -> None:
    body = XML.encode("latin-1")
    with serve_upstream(Answer(body, "text/xml; charset=ISO-8859-1")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        reply = cast.get("alias.xml")
    assert (reply.body, reply.headers["content-type"]) == (body, "text/xml; charset=ISO-8859-1")


def test_b07_plain_text_of_a_1_99x_upstream(cast: Cast) -> None:
    with serve_upstream(Answer("Sudah disimpan: Café".encode("latin-1"), "text/plain; charset=latin1")) as upstream:
        publish_proxy(cast, upstream.url, style="legacy-post", path="simpan")
        assert call("/json/prov/data/alias", accesskey=cast.key).json()["response"]["data"] == "Sudah disimpan: Café"


def test_json_under_a_vague_media_type(cast: Cast) -> None:
    answer = Answer(b'\xef\xbb\xbf {"a":"1"}')
    with serve_upstream(answer) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        for answer.content_type in ("text/javascript", "application/javascript; charset=utf-8", "text/html"):
            reply = cast.get("alias.json")
            assert (reply.json(), reply.headers["content-type"]) == ({"a": "1"}, "application/json")


@pytest.mark.parametrize("declaration", [b"", b'<?xml version="1.0"?>\n', b"\n "])
def test_xml_under_a_vague_media_type(declaration: bytes) -> None:
    for media_type in ("text/html; charset=utf-8", "text/plain", "application/octet-stream", ""):
        assert decode(declaration + b"<data><a>1</a></data>", media_type) == {"data": {"a": "1"}}


@pytest.mark.parametrize(
    "page",
    [
        b"<html><body>Galat</body></html>",
        b"<HTML><BODY>Galat</BODY></HTML>",
        b"<!DOCTYPE html><html><body>Galat</body></html>",
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>Galat</body></html>',
        b"<p>Galat<br></p>",
    ],
)
def test_a_page_is_no_document(page: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(page, "text/html")


@pytest.mark.parametrize(
    ("body", "names", "rows"),
    [
        ("kode;nama;nilai\r\n007;José;1,5\r\n", ["kode", "nama", "nilai"], [("007", "José", "1,5")]),
        ("kode\tnama\n007\tA;B,C\n", ["kode", "nama"], [("007", "A;B,C")]),
        ("kode,nama\n007,A;B\n", ["kode", "nama"], [("007", "A;B")]),
        ('"kode, lama";"nama, gelar";nilai\n1;2;3\n', ["kode, lama", "nama, gelar", "nilai"], [("1", "2", "3")]),
        ("sep=;\r\nkode;nama\r\n1;2\r\n", ["kode", "nama"], [("1", "2")]),
        ("kode\n1\n", ["kode"], [("1",)]),
    ],
)
def test_b23_separators(body: str, names: list[str], rows: list[Any]) -> None:
    table = decode(body.encode(), "text/csv")
    assert (table.names, table.rows) == (names, rows)


def test_b23_semicolons_in_every_format(cast: Cast) -> None:
    with serve_upstream(Answer("kode;nama;nilai\r\n007;José;1,5\r\n".encode(), "text/csv")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").json()["data"] == [{"kode": "007", "nama": "José", "nilai": "1,5"}]
        assert b"<nilai>1,5</nilai>" in cast.get("alias.xml").body


def test_b23_tabs_by_their_media_type(cast: Cast) -> None:
    with serve_upstream(Answer(b"kode\tnama\n007\tAni\n", "text/tab-separated-values")) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert cast.get("alias.json").json()["data"] == [{"kode": "007", "nama": "Ani"}]


def test_b23_rows_of_another_length_are_refused() -> None:
    with pytest.raises(DecodeError):
        decode(b"kode;nama\n1;2;3\n", "text/csv")


def test_b07_a_rehearsal_compares_texts_and_not_their_charsets() -> None:
    latin, utf8 = XML.encode("latin-1"), XML.encode()
    for kind in ("application/xml", "text/plain"):
        old = compare.parsed(f"{kind}; charset=iso-8859-1", latin)
        assert old == compare.parsed(f"{kind}; charset=utf-8", utf8)
        assert NAMES in old[1]
    json = f'{{"nama":"{NAMES}"}}'
    assert compare.parsed("application/json; charset=latin1", json.encode("latin-1"))[0] == {"nama": NAMES}


@pytest.mark.parametrize(
    ("body", "media_type", "ok"),
    [
        (XML.encode("latin-1"), "text/xml; charset=iso-8859-1", True),
        (XML.encode("latin-1"), "text/xml", False),
        (f'{{"nama":"{NAMES}"}}'.encode("latin-1"), "application/json; charset=latin1", True),
        (b"{", "application/json", False),
        (b"<html><br></html>", "application/xhtml+xml", True),
    ],
)
def test_b07_the_connection_test_reads_as_calls_do(cast: Cast, body: bytes, media_type: str, ok: bool) -> None:
    with serve_upstream(Answer(body, media_type)) as upstream:
        publish_proxy(cast, upstream.url, style="rest")
        assert check_connection(BackendServer.objects.get(url=upstream.url)).ok is ok


def test_b07_a_description_in_the_charset_of_its_header(cast: Cast) -> None:
    wsdl = (
        '<?xml version="1.0" encoding="utf-8"?><definitions xmlns="http://schemas.xmlsoap.org/wsdl/">'
        f"<documentation>{NAMES}</documentation></definitions>"
    ).encode("latin-1")
    with serve_upstream(Answer(wsdl, "text/xml; charset=iso-8859-1")) as upstream:
        assert NAMES in decode_text(fetch(upstream.url), upstream.url)
        publish_proxy(cast, upstream.url)
        reply = call("/rest/prov/data/alias?wsdl", accesskey=cast.key, host="localhost")
    assert NAMES in reply.body.decode()

"""Proxy operations and programs of MANTRA 1.99x."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataservices.sql import check, parse
from mantra.legacy_import.translating import OldParameter, Refused, Upstream, placeholder_source, proxies
from mantra.legacy_import.translating.definitions import MAX_DESCRIPTION, MAX_TITLE
from proxyservices.models import BackendServer, ParameterMapping, ProxyOperation
from proxyservices.styles.base import RequestContext
from proxyservices.styles.legacy import Legacy
from proxyservices.styles.soap import _parse_path
from proxyservices.transport.pool import Target
from registry.models import Operation, bounds
from tests.legacy_import.written import kinds, program, proxy


def refused(**texts: object) -> str:
    with pytest.raises(Refused) as error:
        proxy(**texts)
    return error.value.remark.kind.value


# ----------------------------------------------------------------- the ten definitions: 9, 10


def test_9_constants_are_sent_with_their_quotation_marks() -> None:
    found = proxy(request="id:numeric=501,kunci:password='rahasia',tgl:text=''")
    assert (found.style, found.path) == ("legacy-get", "kota.php")
    assert found.upstream == Upstream("http://10.9.9.9/cuaca")
    assert found.secrets() == {"kunci": "'rahasia'"}
    assert found.bundle("kota", "cuaca", references={"kunci": "env:K"}) == {
        "code": "kota", "kind": "proxy", "title": "uji", "description": "Uji", "access": "restricted",
        "state": "published", "style": "legacy-get", "path": "kota.php", "backend": "cuaca", "timeout_ms": 60_000,
        "read_timeout_ms": 60_000, "retries": 0, "parameters": [{"name": "tgl", "type": "text", "required": True}],
        "mappings": [
            {"name": "id", "value": "501"},
            {"name": "kunci", "secret": True, "value": "env:K"},
            {"name": "tgl", "parameter": "tgl"},
        ],
    }  # fmt: skip
    assert kinds(found) == {"constant-quoted"}
    assert "rahasia" not in repr(found)
    assert found.upstream.bundle("bmkg", "cuaca") == {
        "agency": "bmkg", "code": "cuaca", "credential_kind": "none", "servers": [{"url": "http://10.9.9.9/cuaca"}],
    }  # fmt: skip


def test_10_soap() -> None:
    found = proxy(
        wstype="soap", endpoint="http://10.8.8.8/ws/kk.php", method="cariKK#3#valid_data", request="nokk:text=''"
    )
    assert (found.style, found.path) == ("legacy-soap", "cariKK#3#valid_data")
    assert found.upstream == Upstream("http://10.8.8.8/ws/kk.php")
    assert kinds(found) == set()


# -------------------------------------------------------------------------------- each trap


@pytest.mark.parametrize("wstype", sorted(proxies.STYLES))
def test_each_style_is_one_of_ours(wstype: str) -> None:
    assert proxy(wstype=wstype).style in ProxyOperation.Style.values


@pytest.mark.parametrize("wstype", ["", "GET", "ftp", "restful"])
def test_an_unknown_style_is_refused(wstype: str) -> None:
    assert refused(wstype=wstype) == "unknown-style"


def test_a_key_is_sent_as_an_access_key_and_without_one_nothing_is() -> None:
    assert proxy(accesskey="a1b2c3d4e5").upstream == Upstream("http://10.9.9.9/cuaca", "access-key", "", "a1b2c3d4e5")
    assert proxy(accesskey="", token="a1b2c3d4e5").upstream == proxy(accesskey="a1b2c3d4e5").upstream
    assert proxy().upstream == Upstream("http://10.9.9.9/cuaca", "none", "", "")
    found = proxy(accesskey="a1b2c3d4e5").upstream
    assert found and found.bundle("bmkg", "cuaca", "env:K")["credential"] == "env:K"
    assert "a1b2c3d4e5" not in repr(found)


def test_a_soap_service_never_gets_a_key() -> None:
    found = proxy(wstype="soap", method="cari", accesskey="a1b2c3d4e5")
    assert found.upstream == Upstream("http://10.9.9.9/cuaca")
    assert kinds(found) == {"key-not-sent"}


@pytest.mark.parametrize("key", ["a\r\nX: y", "kunci ünï", " a", "x" * 1001])
def test_a_key_that_no_header_can_have_makes_a_draft(key: str) -> None:
    found = proxy(accesskey=key)
    assert found.upstream == Upstream("http://10.9.9.9/cuaca")
    assert kinds(found) == {"credential-unusable"} and found.is_draft


@pytest.mark.parametrize(
    ("endpoint", "url", "remarks"),
    [
        ("http://10.9.9.9/cuaca/", "http://10.9.9.9/cuaca", set()),
        ("10.9.9.9/cuaca", "http://10.9.9.9/cuaca", {"scheme-added"}),
        ("https://h.go.id:8443", "https://h.go.id:8443", set()),
        ("http://10.9.9.9/x.php?a=1", "http://10.9.9.9/x.php?a=1", {"endpoint-query"}),
        ("http://localhost/x", "http://localhost/x", {"localhost"}),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x", {"localhost"}),
        ("http://[::1]/x", "http://[::1]/x", {"localhost"}),
    ],
)
def test_addresses(endpoint: str, url: str, remarks: set[str]) -> None:
    found = proxy(endpoint=endpoint)
    assert found.upstream == Upstream(url)
    assert kinds(found) == remarks
    assert found.is_draft is bool(remarks & {"endpoint-query", "localhost"})
    BackendServer(url=url).clean_fields(exclude=["backend"])


@pytest.mark.parametrize(
    "endpoint",
    ["", None, "ftp://x/y", "http://", "http://x:99999/", "http://a b/", "http://x/é", "http://%", "http://a..b", "::"],
)
def test_without_a_usable_address_there_is_a_draft_without_a_backend(endpoint: str | None) -> None:
    found = proxy(endpoint=endpoint)
    assert found.upstream is None and found.is_draft and "no-endpoint" in kinds(found)
    assert "backend" not in found.bundle("kota", "")


def test_an_address_that_is_known_by_now_takes_its_place() -> None:
    hosts = {"localhost": "10.1.1.9"}
    assert proxy(hosts, endpoint="http://localhost:81/x").upstream == Upstream("http://10.1.1.9:81/x")
    assert not proxy(hosts, endpoint="http://LOCALHOST/x").is_draft
    # Somebody has said that it is this very machine.
    same = proxy({"localhost": "127.0.0.1"}, endpoint="http://localhost/x")
    assert (same.upstream, same.is_draft) == (Upstream("http://127.0.0.1/x"), False)
    assert proxy({"localhost:81": "10.1.1.9:82"}, endpoint="http://localhost:81/x").upstream == Upstream(
        "http://10.1.1.9:82/x"
    )


def test_a_user_in_the_address_is_the_credential() -> None:
    found = proxy(endpoint="http://siti:p%40ss@10.9.9.9/x")
    assert found.upstream == Upstream("http://10.9.9.9/x", "basic", "siti", "p@ss")
    assert kinds(found) == {"endpoint-credential"}
    both = proxy(endpoint="http://siti:pass@10.9.9.9/x", accesskey="a1b2c3d4e5")
    assert both.upstream == Upstream("http://10.9.9.9/x", "access-key", "", "a1b2c3d4e5")
    assert kinds(both) == {"credential-unusable"} and both.is_draft


def test_a_new_address_that_cannot_be_called_is_no_address() -> None:
    # Such as an instance of SQL Server, for the sources on the same host.
    found = proxy({"10.9.9.9": "10.9.9.9%1"})
    assert found.upstream is None and "no-endpoint" in kinds(found)


@example(endpoint="%")
@example(endpoint="a..b")
@example(endpoint="http://x/a#é")
@given(endpoint=st.one_of(st.text(max_size=30), st.text(max_size=30).map("http://x".__add__)))
def test_each_address_that_is_taken_can_be_stored_and_called(endpoint: str) -> None:
    endpoint = endpoint.replace("\x00", "")
    with suppress(Refused, UnicodeError):
        endpoint.encode()
        if upstream := proxy(endpoint=endpoint).upstream:
            BackendServer(url=upstream.url).clean_fields(exclude=["backend"])
            Target.of(upstream.url)


@pytest.mark.parametrize(
    ("wstype", "path"),
    [
        ("get", "/m?kota=%27Gresik%27&id=501&a=x+y"),
        ("rest", "/m/kota=%2527Gresik%2527&id=501&a=x%2By"),
        ("restfull", "/m/%27Gresik%27/501/x+y"),
        ("restfullpar", "/m/kota/%27Gresik%27/id/501/a/x+y"),
    ],
)
def test_the_upstream_gets_what_the_original_sent(wstype: str, path: str) -> None:
    keys = proxy(wstype=wstype, method="m", request="kota:text='Gresik',id:numeric=501,a:text=''").bundle("x", "y")
    mappings = [ParameterMapping(**each) for each in keys["mappings"]]
    style = Legacy(ProxyOperation(style=keys["style"], path=keys["path"]), mappings, ["a"])
    context = RequestContext({"a": "x y"}, None, "GET", "1", deadline=0, max_body_bytes=1)
    assert style.build_request(context).path == path


def test_wsdl_is_no_part_of_a_soap_address() -> None:
    assert proxy(wstype="soap", endpoint="http://x/y?WSDL", method="cari").upstream == Upstream("http://x/y")


@pytest.mark.parametrize("path", ["cari", "cari#3", "cari##blok", "cari#2#blok", "a#10"])
def test_paths_of_soap_are_those_that_the_style_reads(path: str) -> None:
    assert "soap-path" not in kinds(proxy(wstype="soap", method=path))
    _parse_path(path, legacy=True)


@pytest.mark.parametrize("path", ["", "a#x", "a#11", "a#1#2#3", "#1"])
def test_other_paths_of_soap_make_a_draft(path: str) -> None:
    found = proxy(wstype="soap", method=path)
    assert "soap-path" in kinds(found) and found.is_draft


@pytest.mark.parametrize(
    ("request_", "name", "value", "secret", "remarks"),
    [
        ("kota:numeric=Gresik", "kota", "Gresik", False, set()),
        ("kota:text='Gresik'", "kota", "'Gresik'", False, {"constant-quoted"}),
        ("kota:text=Gresik", "kota", "Gresik", False, set()),
        ("k:password='x'", "k", "'x'", True, {"constant-quoted"}),
        ("k:text='a=b=c'", "k", "'abc'", False, {"constant-quoted", "equals-removed"}),
        ("jam:text='10:30'", "jam", "'10", False, {"constant-quoted", "request-unclear"}),
        ("k=x", "k=x", "", False, {"request-unclear", "parameter-renamed"}),
        ("k:lain=x", "k", "x", False, {"request-unclear"}),
        ("k:numeric=0", "k", "0", False, set()),
    ],
)
def test_fixed_values_are_those_that_were_sent(
    request_: str, name: str, value: str, secret: bool, remarks: set[str]
) -> None:
    found = proxy(request=request_)
    (item,) = found.items
    assert (item.name, item.value, item.secret) == (name, value, secret)
    assert kinds(found) == remarks
    assert found.is_draft is ("request-unclear" in remarks)


def test_a_comma_in_a_value_cut_it() -> None:
    found = proxy(request="x:text='a,b'")
    assert [(each.name, each.value) for each in found.items] == [("x", "'a"), ("b'", "")]
    assert "request-unclear" in kinds(found) and found.is_draft


@pytest.mark.parametrize(
    "request_", ["nip:text=''", "nip:text=", "nip:numeric=", "nip:password=''", "nip:text", "nip:text='='"]
)
def test_an_empty_value_comes_from_the_caller_and_is_required(request_: str) -> None:
    found = proxy(request=request_)
    assert [each.parameter for each in found.items] == [OldParameter("nip")]
    assert found.bundle("x", "y")["parameters"] == [{"name": "nip", "type": "text", "required": True}]


def test_the_order_of_the_request_is_that_of_the_path() -> None:
    found = proxy(wstype="restfull", request="c:text='',a:numeric=1,b:text=''")
    assert [each["name"] for each in found.bundle("x", "y")["mappings"]] == ["c", "a", "b"]


def test_names_keep_their_case_at_the_upstream() -> None:
    found = proxy(request="NIP:text='',kode-wil:text=''")
    assert found.bundle("x", "y")["mappings"] == [
        {"name": "NIP", "parameter": "NIP"}, {"name": "kode-wil", "parameter": "kode_wil"},
    ]  # fmt: skip
    assert [each.parameter for each in found.items] == [OldParameter("NIP"), OldParameter("kode_wil", "kode-wil")]
    twice = proxy(request="nip:text='',NIP:text=''")
    assert kinds(twice) == {"names-by-case"} and twice.is_draft
    assert [each.parameter for each in twice.items] == [OldParameter("nip"), OldParameter("NIP_2")]


def test_of_a_repeated_name_the_last_value_counts_at_the_place_of_the_first() -> None:
    found = proxy(request="a:numeric=1,b:numeric=2,a:numeric=3")
    assert [(each.name, each.value) for each in found.items] == [("a", "3"), ("b", "2")]
    assert kinds(found) == {"name-repeated"}


def test_dollars_are_no_variables_of_a_bundle() -> None:
    found = proxy(request="a:numeric=${HOME}", endpoint="http://x/$$y")
    assert found.bundle("x", "y")["mappings"] == [{"name": "a", "value": "$${HOME}"}]
    assert found.upstream and found.upstream.bundle("a", "b")["servers"] == [{"url": "http://x/$$$y"}]


def test_bounds() -> None:
    assert refused(method="x" * 501) == "too-long"
    assert refused(endpoint="http://x/" + "y" * 500) == "too-long"
    assert refused(request=",".join(f"a{n}:text=''" for n in range(201))) == "too-many-parameters"
    assert refused(request="a" * 201 + ":text=''") == "too-long"
    assert MAX_DESCRIPTION == bounds.DESCRIPTION
    assert Operation._meta.get_field("title").max_length == MAX_TITLE


# ---------------------------------------------------------------------------------- programs

PROGRAM = """
$conn = dbConnect('mysql', '10.1.1.5', 'root', 'S3cret!', 'simpeg');
$password = "L4gi";
$rows = dbExecute("SELECT nama FROM pegawai WHERE nip = '$nip' AND aktif = 1");
dbInsert($conn, 'INSERT INTO log (nip) VALUES (\\'' . $nip . '\\')');
dbUpdate('pegawai', $fields);
$cuaca = file_get_contents('http://siti:rahasia@10.9.9.9/cuaca');
echo serialize($rows);
"""


def test_a_program_becomes_a_draft_with_its_text_and_a_checklist() -> None:
    found = program(PROGRAM, "nip:text='',tahun:numeric=2017")
    assert found.is_draft and found.parameters == (OldParameter("nip"),)
    assert found.proposals == (
        "SELECT nama FROM pegawai WHERE nip = :nip AND aktif = 1",
        "INSERT INTO log (nip) VALUES (:nip)",
    )
    assert [each.kind.value for each in found.remarks] == [
        "program-constant", "program", "program-sql", "program-writes", "program-calls", "program-result",
        "program-secrets",
    ]  # fmt: skip
    assert found.description.startswith("Uji\n\nMANTRA 1.99x:\n")
    assert "SELECT nama FROM pegawai" in found.description
    for secret in ("S3cret!", "L4gi", "rahasia", "root", "10.1.1.5"):
        assert secret not in found.description


@pytest.mark.parametrize("dialect", ["sqlite", "mysql", "postgres", "tsql", "oracle"])
def test_the_draft_of_a_program_has_sql_that_may_run_and_reads_nothing(dialect: str) -> None:
    keys = program(PROGRAM, "nip:text=''").bundle("uji", "program", dialect=dialect)
    assert keys["state"] == "draft" and keys["listing"] == "hidden"
    assert keys["sql"].splitlines()[-1].removesuffix(" FROM dual") == "SELECT :nip AS p1"
    assert "-- [1] SELECT nama FROM pegawai WHERE nip = :nip" in keys["sql"]
    assert check(keys["sql"], dialect) == []
    assert parse(keys["sql"], dialect).placeholders == ("nip",)


def test_any_other_type_runs_as_a_program() -> None:
    assert "unknown-kind" in kinds(program("echo 1;", kind="webservice"))


def test_an_empty_program_and_a_long_one() -> None:
    assert "program-empty" in kinds(program(" "))
    long = program("x" * 50_000)
    assert "program-cut" in kinds(long) and len(long.description) <= MAX_DESCRIPTION
    assert len(long.code) == 50_000


@pytest.mark.parametrize(
    "code",
    ["$password = 'rahasia", "mysql_connect('h', 'u', 'rahasia", "define('DB_PASS', 'rahasia');",
     "$c['token'] = \"rahasia\";",
     "array('sandi' => 'rahasia')", "new PDO('mysql:host=x', 'u', 'rahasia')", "$p = 'x'; $pass='ra\\'hasia';"],
)  # fmt: skip
def test_secrets_are_not_shown(code: str) -> None:
    found = program(code)
    assert "hasia" not in found.description and "program-secrets" in kinds(found)


def test_a_program_of_rubbish_is_read_in_one_pass() -> None:
    """An expression that reads names or unclosed literals again and again would need minutes for these."""
    for code in (
        "pass" * 50_000,
        "'\\'" * 50_000,
        "$pass='\\'" * 20_000,
        "dbExecute('\\'" * 10_000,
        "dbExecute( " * 10_000,
    ):
        assert program(code).is_draft


def test_many_statements_are_bounded() -> None:
    assert len(program('dbExecute("SELECT 1");' * 500).proposals) == 20


def test_a_placeholder_source_leads_to_no_file() -> None:
    assert placeholder_source("diknas", "program")["database"] == "belum-ada.sqlite3"


@settings(max_examples=300)
@given(
    code=st.lists(
        st.sampled_from(["dbExecute(", "'", '"', "\\", "SELECT 1", ".", "$a", ";", ")", "$password=", "mysql_connect(",
                         "'x'", "\n", "curl_exec(", "://a:b@c", "é", "{$b}", ":c", "--", "*/"]),
        max_size=20,
    ).map("".join),
    request=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30),
)  # fmt: skip
def test_any_program_becomes_a_draft(code: str, request: str) -> None:
    found = program(code, request)
    assert found.is_draft and all(each.text() for each in found.remarks)
    for dialect in ("mysql", "postgres", "oracle"):
        assert check(found.bundle("uji", "program", dialect=dialect)["sql"], dialect) == []

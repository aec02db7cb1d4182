"""After an import every caller of 1.99x goes on: its address, its key, and the bytes that it gets.

The database is imported by the command into a bus on a port. Its operations read a real MariaDB and a real PostgreSQL,
and call a real web service. What must come back is what 1.99x answered, in the bytes of tests/gateway/original.py.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest

from tests.gateway import original
from tests.gateway.original import FORMATS
from tests.gateway.test_exchanges import FORM, MISSING, NO_KEY, UNKNOWN, answer, request
from tests.legacy_import import old_definitions
from tests.legacy_import.old_database import OldCall, OldInstallation, Place, Sizes, make
from tests.legacy_import.old_server import real_permits, real_table
from tests.proxy.upstream import Answer, Received, serve_upstream
from tests.servers.bus import Bus
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.soap_service import SoapService

#: Enough for 200 keys of 200 operations.
SIZES = Sizes(agencies=30, users=80, services=60, operations=450, orders=740, tracks=50, track_bytes=100)
STYLES = ("REST", "GET", "POST")
#: Traps that become drafts by the beginning of their names, and those of which nothing can be made.
DRAFTS = (
    "program-", "type-unknown", "condition-column-twice", "condition-question-mark", "condition-without-where",
    "condition-semicolon", "condition-comment", "table-with-schema", "limit-no-number", "proxy-no-endpoint",
    "proxy-endpoint-with-query", "proxy-value-with-comma",
)  # fmt: skip
REFUSED = (
    "condition-unquoted-name", "connection-unknown-type", "table-empty", "proxy-unknown-style", "definition-empty",
    "definition-neither", "definition-broken-json", "definition-list", "definition-wrong-kind",
)  # fmt: skip
#: Where hosts of definitions are: this machine, and for those that no test has a port on which nothing listens.
HOSTS = [
    word
    for host in ("10.1.1.5", "10.1.1.9", "10.1.2.3", "10.1.2.4", "10.1.2.6", "localhost", "127.0.0.1")
    for word in ("--host", f"{host}=127.0.0.1" + (":1" if host != "127.0.0.1" else ""))
]
#: The client library of 1.99x: PHP's curl.
PROGRAMS = Path(__file__).parent.parent / "gateway" / "clients" / "caller.php"
#: Names that cannot be an element of XML.
NO_ELEMENT = re.compile(r"[(,'!]")


@dataclass
class Moved:
    """The old installation, and the bus that it was imported into."""

    old: OldInstallation
    dump: Path
    bus: Bus
    report: str

    def ask(self, call: OldCall, format: str, style: str = "REST", folder: str = "/", key: str | None = None) -> bytes:
        """The body of the answer to a call, as programs for 1.99x make it."""
        names = "/".join(quote(name, safe="") for name in (call.agency, call.service, call.operation))
        address, key = f"{folder}{format}/{names}", call.key if key is None else key
        # Names are encoded once, values of the style REST twice.
        rest = "&".join(
            f"{quote_plus(name)}={quote_plus(quote_plus(value))}" for name, value in call.parameters.items()
        )
        if style == "REST":
            return answer(self.bus, request(f"{address}/{rest}", key=key))
        if style == "GET":
            return answer(self.bus, request(f"{address}?{urlencode(call.parameters)}", key=key))
        body = rest.encode()
        return answer(self.bus, request(address, "POST", body, key=key, content_type=FORM))

    def wrong(self, call: OldCall, format: str, style: str = "REST", folder: str = "/") -> list[str]:
        """What is wrong with the answer to a call; nothing if it is that of 1.99x to the byte."""
        found = self.ask(call, format, style, folder)
        if format == "xml" and call.document is None and NO_ELEMENT.search(call.operation):
            return [] if b"<code>10018</code>" in found else [f"{call} {format}: {found!r}"]
        expected = original.written(envelope(call), format)
        return [] if found == expected else [f"{call} {format} {style}: {found!r}, not {expected!r}"]

    def code(self, call: OldCall, key: str | None = None) -> int:
        return int(json.loads(self.ask(call, "json", key=key))["response"]["code"])

    def calls_of(self, trap: str) -> list[OldCall]:
        """The calls with the keys of a trap's orders."""
        return [found for _table, pk in self.old.traps[trap] if (found := self.old.call(self.old.orders[pk - 1]))]

    def call_of(self, trap: str) -> OldCall:
        """A call of the operation that is a trap, with a key for it."""
        operation = self.old.trap(trap)
        order = next(row for row in reversed(self.old.orders) if row.operation_id == operation.id and row.active)
        found = self.old.call(order)
        return found or OldCall(*self._names(operation), operation.code, order.key, {"nip": "19800001"}, [])

    def _names(self, operation: Any) -> tuple[int, str, str]:
        service = self.old.services[operation.service_id - 1]
        return operation.id, self.old.agencies[service.agency_id].code, service.code


def envelope(call: OldCall) -> dict[str, Any]:
    if call.document is None:
        return original.rows(call.operation, call.rows)
    return {"status": 1, "code": 200, "message": "OK", "data": call.document}


def received(request: Received) -> Answer:
    """The web service: it responds with what it received."""
    found = {
        "jalur": f"{request.method} {request.path}", "isi": request.body.decode(), "kunci": request.header("AccessKey"),
    }  # fmt: skip
    return Answer(json.dumps(found).encode())


@contextmanager
def real_place(mariadb: MariaDBServer, postgresql: PostgreSQLServer) -> Iterator[Place]:
    """Run the servers of what can be called, and give their place."""
    soap = SoapService()
    try:
        with serve_upstream(received) as upstream:
            permits = real_permits(postgresql)
            yield replace(real_table(mariadb), postgres=permits, upstream=upstream.url, soap=soap.rpc_url)
    finally:
        soap.stop()


@pytest.fixture(scope="module")
def moved(
    mariadb: MariaDBServer, postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Moved]:
    var = tmp_path_factory.mktemp("bus")
    with real_place(mariadb, postgresql) as place:
        old = make(SIZES, place)
        dump = old.write(var / "lama.sql")
        bus = Bus(var, WEB_CONCURRENCY="1", MANTRA_LEGACY_FOLDERS="mantra,gsb")
        report = bus.manage("import_legacy", str(dump), *HOSTS, "--all")
        with bus:
            yield Moved(old, dump, bus, report)


def test_200_keys_answer_as_in_1_99x(moved: Moved) -> None:
    """Each key of an operation of its own; formats and styles take turns."""
    calls = list({call.operation_id: call for call in moved.old.calls}.values())
    assert len({call.key for call in calls}) >= 200
    wrong = [
        line
        for number, call in enumerate(calls)
        for line in moved.wrong(call, FORMATS[number % 3], STYLES[number // 3 % 3], ("/", "/mantra/")[number % 2])
    ]
    assert not wrong, f"{len(wrong)} of {len(calls)}\n" + "\n".join(wrong[:5])


def test_each_shape_in_each_format_and_style(moved: Moved) -> None:
    calls = list({id(moved.old.shapes[call.operation_id]): call for call in moved.old.calls}.values())
    assert len(calls) >= 18
    wrong = [
        line for call in calls for format in FORMATS for style in STYLES for line in moved.wrong(call, format, style)
    ]
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:5])


@pytest.mark.parametrize("folder", ["/", "/mantra/", "/gsb/", "/GSB/"])
def test_any_folder_that_is_set(moved: Moved, folder: str) -> None:
    for call in moved.old.calls[:6]:
        assert not moved.wrong(call, "json", folder=folder)
    assert b"10002" in moved.ask(moved.old.calls[0], "json", folder=folder, key="0000000000")


# ------------------------------------------------------------------------------------------- traps that are called


def traps_with_shapes() -> list[str]:
    return [trap.name for trap in old_definitions.traps(Place()) if trap.shape is not None]


@pytest.mark.parametrize("trap", traps_with_shapes())
def test_hard_definitions_answer(moved: Moved, trap: str) -> None:
    """Parameters ``kode-wil``, ``a.b``, ``1tmt``, ``Ünï``; names with ``_``, blanks and more; constants as sent."""
    call = moved.call_of(trap)
    for format in FORMATS:
        for style in STYLES:
            assert not moved.wrong(call, format, style)


def test_parameters_are_found_without_regard_to_case(moved: Moved) -> None:
    for trap in ("parameter-dash", "parameter-dot", "parameter-blank"):
        call = moved.call_of(trap)
        other = {name.swapcase(): value for name, value in call.parameters.items()}
        assert not moved.wrong(replace(call, parameters=other), "json")
    dotted = moved.call_of("parameter-dot")
    # As PHP reads a dot.
    assert not moved.wrong(replace(dotted, parameters={"a_b": dotted.parameters["a.b"]}), "json", "GET")


HARD_PLACES = (
    "agency-underscore", "agency-blank", "agency-dot", "agency-long", "agency-accent", "service-underscore",
    "service-blank", "service-dot", "service-long", "service-accent",
)  # fmt: skip


@pytest.mark.parametrize("trap", HARD_PLACES)
def test_agencies_and_services_with_hard_names_answer(moved: Moved, trap: str) -> None:
    row = moved.old.trap(trap)
    calls = [call for call in moved.old.calls if row.code in (call.agency, call.service)]
    assert calls
    for call in calls:
        assert not moved.wrong(call, "json")


def test_one_name_under_two_agencies_is_two_services(moved: Moved) -> None:
    calls = {call.agency: call for call in moved.old.calls if call.service == "kembar"}
    assert len(calls) == len(moved.old.traps["service-twice"]) == 2
    for call in calls.values():
        assert not moved.wrong(call, "json")


def test_names_without_an_address_are_reported(moved: Moved) -> None:
    for trap in ("operation-slash", "operation-percent"):
        assert moved.code(moved.call_of(trap)) == 10002
        assert re.search(rf"methods {moved.old.trap(trap).id} .*\n(?:    .*\n)*    .*alamat lama", moved.report, re.I)


# ------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "trap",
    [
        "key-of-several-operations", "key-two-spellings", "key-capitals", "key-eight-hex", "key-long", "order-twice",
        "order-other-spelling", "order-of-off-user",
    ],
)  # fmt: skip
def test_hard_keys_open_what_they_opened(moved: Moved, trap: str) -> None:
    calls = moved.calls_of(trap)
    assert len(calls) == len(moved.old.traps[trap])
    for call in calls:
        assert not moved.wrong(call, "json")


def test_a_key_of_two_users_opens_the_operation_of_both(moved: Moved) -> None:
    for call in moved.calls_of("key-of-two-users"):
        assert not moved.wrong(call, "json")


@pytest.mark.parametrize("trap", ["key-blank", "key-short", "key-empty", "key-accent"])
def test_keys_that_no_header_should_carry_need_a_person(moved: Moved, trap: str) -> None:
    order = moved.old.trap(trap)
    assert re.search(rf"perlu ditangani orang: orders {order.id}\b", moved.report, re.I)
    (call,) = moved.calls_of(trap)
    assert moved.code(call, key=call.key.encode().decode("latin-1")) in (10001, 10002)


def test_users_with_hard_names_keep_their_keys(moved: Moved) -> None:
    orders = [moved.old.orders[pk - 1] for _table, pk in moved.old.traps["order-of-hard-user"]]
    without_agency = {"admin", "titipan"}
    for order in orders:
        call = moved.old.call(order)
        assert call is not None
        if order.username in without_agency:
            assert moved.code(call) == 10002
            assert re.search(rf"perlu ditangani orang: orders {order.id}\b", moved.report, re.I)
        else:
            assert not moved.wrong(call, "json"), order


def test_closed_orders_open_nothing(moved: Moved) -> None:
    (call,) = moved.calls_of("order-off")
    assert moved.code(call) == 10002
    off = [found for order in moved.old.orders if not order.active and (found := moved.old.call(order))]
    assert len(off) > 10
    for call in off[:20]:
        assert moved.code(call) == 10002


def test_a_key_opens_its_operation_only(moved: Moved) -> None:
    first, *others = list({call.operation_id: call for call in moved.old.calls}.values())[:12]
    for call in others:
        assert moved.code(call, key=first.key) == 10002


# ------------------------------------------------------------------------------------------------- what must be refused


def test_the_flag_restricted_opens_nothing(moved: Moved) -> None:
    """1.99x asked for a key whatever the flag said, and off is what its form began with."""
    listed = [row for row in moved.old.operations if row.listed]
    assert len(listed) > 250
    calls = [call for call in moved.old.calls if moved.old.operations[call.operation_id - 1].listed][:40]
    calls.append(moved.call_of("open-flag"))
    for call in calls:
        found = json.loads(moved.ask(call, "json", key=""))["response"]
        assert (found["code"], found["message"], found["data"]) == (10001, NO_KEY, "")
    with closing(sqlite3.connect(moved.bus.var / "mantra.sqlite3")) as registry:
        found = registry.execute("SELECT access, count(*) FROM registry_operation GROUP BY access").fetchall()
    assert [access for access, _count in found] == ["restricted"]


def drafts_and_refused() -> list[str]:
    """The traps of definitions that nobody can call."""
    names = [trap.name for trap in old_definitions.traps(Place()) if trap.shape is None]
    return [name for name in names if name.startswith(DRAFTS) or name in REFUSED]


@pytest.mark.parametrize("trap", drafts_and_refused())
def test_what_1_99x_failed_at_or_a_person_must_see_is_not_published(moved: Moved, trap: str) -> None:
    call = moved.call_of(trap)
    found = json.loads(moved.ask(call, "json"))["response"]
    assert (found["code"], found["message"]) == (10002, UNKNOWN)
    outcome = "ditolak" if trap in REFUSED else "perlu ditangani orang"
    assert re.search(rf"{outcome}: methods {moved.old.trap(trap).id}\b", moved.report, re.I)


def test_missing_parameters_and_no_rows(moved: Moved) -> None:
    call = next(call for call in moved.old.calls if list(call.parameters) == ["nip"])
    for parameters in ({}, {"nip": ""}, {"nipp": "1"}):
        found = json.loads(moved.ask(replace(call, parameters=parameters), "json", "GET"))["response"]
        assert (found["code"], found["message"]) == (10005, MISSING)
    found = json.loads(moved.ask(replace(call, parameters={"nip": "tidak ada"}), "json"))["response"]
    alias = f"{call.agency}:{call.service}.{call.operation}"
    assert found == original.failure(10012, f'Hasil operasi data "{alias}" tidak ada (kosong)')


# -------------------------------------------------------------------------------------------------------- the report


def test_the_numbers_add_up_to_every_row(moved: Moved) -> None:
    for table in ("instances", "users", "services", "methods", "orders"):
        (line,) = re.findall(rf"^{table}: (\d+) = (.*)$", moved.report, re.M)
        numbers = [int(number) for number in re.findall(r"(\d+) [a-z]", line[1])]
        assert int(line[0]) == sum(numbers) == moved.old.counts()[table]


def test_a_second_run_says_the_same_and_changes_nothing(moved: Moved) -> None:
    again = moved.bus.manage("import_legacy", str(moved.dump), *HOSTS, "--all")
    # Rows that need a person are looked at again, and so come later.
    assert sorted(re.split(r"\n(?! )", again)) == sorted(re.split(r"\n(?! )", moved.report))
    for call in moved.old.calls[:9]:
        assert not moved.wrong(call, "json")


# ------------------------------------------------------------------------------------------------- programs in PHP


def php(program: Path, calls: list[dict[str, Any]]) -> list[Any]:
    done = subprocess.run(["php", str(program)], input=json.dumps(calls), capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_a_program_with_the_stock_client_goes_on(moved: Moved) -> None:
    """PHP's curl in the five styles of the client library of 1.99x, in each format."""
    chosen = list({id(moved.old.shapes[call.operation_id]): call for call in moved.old.calls if call.rows}.values())
    programs = [
        (call, format, style)
        for call in chosen
        for format in FORMATS
        for style in ("REST", "GET", "POST", "POST array", "REST once")
        if not NO_ELEMENT.search(call.operation)
    ]
    sent = [
        {
            "url": f"{moved.bus.base}/mantra/{format}/{quote(call.agency)}/{quote(call.service)}",
            "method": quote(call.operation), "key": call.key, "values": call.parameters, "style": style, "sent": "",
        }
        for call, format, style in programs
    ]  # fmt: skip
    assert len(sent) >= 150
    for (call, format, style), found in zip(programs, php(PROGRAMS, sent), strict=True):
        table = found.get("response", found) if isinstance(found, dict) else found
        rows = table["data"][original.key_of(call.operation)] if isinstance(table, dict) and "data" in table else table
        rows = rows if isinstance(rows, list) else [rows]
        expected: list[Any] = list(call.rows)
        if format == "xml":  # XML has neither null nor blanks in a tag, and SimpleXML gives [] for an empty element
            expected = [{name.replace(" ", "_"): value or [] for name, value in row.items()} for row in call.rows]
        assert rows == expected, (call, format, style)


def test_a_program_that_calls_by_soap_has_its_key(moved: Moved) -> None:
    calls = [call for call in moved.old.calls if list(call.parameters) == ["nip"] and call.operation[:7] == "operasi"]
    sent = [
        {
            "wsdl": f"{moved.bus.base}/soap/{call.agency}/{call.service}?wsdl", "key": call.key,
            "operation": call.operation, "values": call.parameters,
        }
        for call in calls[:5]
    ]  # fmt: skip
    other = next(call for call in calls if call.key not in {each["key"] for each in sent})
    sent.append(sent[0] | {"key": other.key})
    *found, refused = php(Path(__file__).parent / "clients" / "soap.php", sent)
    for call, answer_ in zip(calls, found, strict=False):
        row = answer_["data"]["row"]
        assert [row] == [{name.replace(" ", "_x0020_"): value for name, value in each.items()} for each in call.rows]
    assert "fault" in refused

"""Few bytes that would make much work: a table of them for each protocol. Memory and the processor's time are bounded.

What is measured is this thread's own work, whatever else the machine does.
"""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from django.conf import settings

from tests.cast import Cast, Reply, call

#: The most bytes of a request's body.
LIMIT = settings.MAX_BODY_BYTES
#: What one request may use: memory in proportion to the body (a list of a third as many texts when each character is
#: percent-encoded), and seconds of the processor, of which counting the memory takes most.
MEMORY, SECONDS = 96 * LIMIT, 4.0
#: What a caller may be told: it was fine, it was wrong, it was too much. Never an error of the bus's own.
TOLD = {200, 400, 403, 404, 405, 406, 411, 413, 414, 415}
JSON, FORM, XML = "application/json", "application/x-www-form-urlencoded", "text/xml; charset=utf-8"
MULTIPART = "multipart/form-data; boundary=b"


def full(part: str, before: str = "", after: str = "") -> bytes:
    """Return as many of a part as a body may have."""
    room = LIMIT - len(before.encode()) - len(after.encode()) - 1
    return f"{before}{part * (room // len(part.encode()))}{after}".encode()


def numbered(part: str, before: str = "", after: str = "", between: str = "") -> bytes:
    """Return parts with a number in place of %d, as many as a body may have."""
    return f"{before}{between.join(part % number for number in range(LIMIT // (len(part) + 8)))}{after}".encode()


def entities(depth: int, width: int) -> str:
    """Return a document type in which each entity is many of the one before."""
    lines = ['<!ENTITY e0 "ha">'] + [f'<!ENTITY e{n} "{f"&e{n - 1};" * width}">' for n in range(1, depth)]
    return f"<!DOCTYPE x [{''.join(lines)}]>"


def soap(inner: str, before: str = "") -> str:
    envelope = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'{before}<s:Envelope xmlns:s="{envelope}"><s:Body>{inner}</s:Body></s:Envelope>'


FILE = '<!ENTITY f SYSTEM "file:///etc/passwd">'
ZEROS = b"0" * 50_000_000
BODIES: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    # Name → type of the content, the body, further headers.
    "lists in lists": (JSON, lambda: full("[", '{"teks":'), {}),
    "lists in lists, closed": (JSON, lambda: b'{"teks":' + b"[" * 400_000 + b"]" * 400_000 + b"}", {}),
    "objects in objects": (JSON, lambda: full('{"a":'), {}),
    "as many members as there are": (JSON, lambda: numbered('"k%d":0', "{", "}", ","), {}),
    "one member again and again": (JSON, lambda: full('"teks":0,', "{", '"teks":1}'), {}),
    "a number of a million digits": (JSON, lambda: full("9", '{"teks":', "}"), {}),
    "a fraction of a million digits": (JSON, lambda: full("9", '{"teks":0.', "}"), {}),
    "a number beyond all numbers": (JSON, lambda: b'{"teks":1e400}', {}),
    "a number of a large exponent": (JSON, lambda: b'{"teks":1e999999999}', {}),
    "no number": (JSON, lambda: b'{"teks":NaN}', {}),
    "half a character": (JSON, lambda: b'{"teks":"\\ud800"}', {}),
    "escapes": (JSON, lambda: full("\\u0041", '{"teks":"', '"}'), {}),
    "a text as long as the body": (JSON, lambda: full("a", '{"teks":"', '"}'), {}),
    "as many fields as there are": (FORM, lambda: numbered("k%d=0", between="&"), {}),
    "separators only": (FORM, lambda: full("&"), {}),
    "percent signs": (FORM, lambda: full("%41", "teks="), {}),
    "names of PHP's lists": (FORM, lambda: full("[a]", "teks", "=1"), {}),
    "one list of PHP's": (FORM, lambda: full("teks[]=1&"), {}),
    "parts": (MULTIPART, lambda: full('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n') + b"--b--", {}),
    "a part's heads": (MULTIPART, lambda: full("X-A: 1\r\n", "--b\r\n"), {}),
    "ends of parts that are none": (MULTIPART, lambda: full("\r\n--b", "--b\r\n\r\n"), {}),
    "gzip": (JSON, lambda: gzip.compress(b'{"teks":"' + ZEROS + b'"}'), {"content_encoding": "gzip"}),
    "gzip in gzip": (JSON, lambda: gzip.compress(gzip.compress(ZEROS)), {"content_encoding": "gzip, gzip"}),
    "deflate": (JSON, lambda: zlib.compress(ZEROS), {"content_encoding": "deflate"}),
    "brotli": (JSON, lambda: b"\x8b\x02\x80" * 100, {"content_encoding": "br"}),
    "billion laughs": (XML, lambda: soap("<satu><id>&e9;</id></satu>", entities(10, 10)).encode(), {}),
    "quadratic laughs": (
        XML, lambda: soap(f"<satu><id>{'&e1;' * 9000}</id></satu>", entities(2, 20_000)).encode(), {},
    ),
    "an entity of a file": (
        XML, lambda: soap("<satu><id>&f;</id></satu>", f"<!DOCTYPE x [{FILE}]>").encode(), {},
    ),
    "elements in elements": (XML, lambda: soap("<a>" * 100_000 + "</a>" * 100_000).encode(), {}),
    "as many elements as there are": (XML, lambda: soap("<satu>" + "<a/>" * 200_000 + "</satu>").encode(), {}),
    "as many attributes as there are": (
        XML, lambda: soap("<satu " + " ".join(f'a{n}="1"' for n in range(80_000)) + "/>").encode(), {},
    ),
    "as many namespaces as there are": (
        XML, lambda: soap("<satu " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(40_000)) + "/>").encode(), {},
    ),
    "a comment as long as the body": (XML, lambda: soap("<!--" + "- " * 400_000 + "-->").encode(), {}),
    "another alphabet": ("text/xml; charset=utf-7", lambda: soap("<satu/>").encode("utf-7"), {}),
    "two bytes each": (
        "text/xml; charset=utf-16", lambda: soap("<satu>" + "a" * 200_000 + "</satu>").encode("utf-16"), {},
    ),
}  # fmt: skip
#: A request's line is bounded by the server (16 KiB): what fits into it.
QUERIES = {
    "as many fields as fit": "&".join(f"k{n}=0" for n in range(2000)),
    "names of PHP's lists": "teks" + "[a]" * 5000 + "=1",
    "a number of all digits": "id=" + "9" * 15_000,
    "a number of a large exponent": "id=1e999999999",
    "percent signs": "teks=" + "%41" * 5000,
    "a page far away": "page=99999999999999999999",
}
PROTOCOLS = {"REST": "/rest/prov/data/gema.json", "legacy": "/json/prov/data/gema", "SOAP": "/soap/prov/data"}


def within_bounds(request: Callable[[], Reply]) -> Reply:
    """Return the reply to a request that used no more than it may."""
    request()  # what is read once for all requests
    tracemalloc.start()
    try:
        began = time.thread_time()
        reply = request()
        taken = time.thread_time() - began
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # SOAP 1.1 has one status for all faults; whose fault it is stands in them.
    assert reply.status in TOLD or b"<m:party>caller</m:party>" in reply.body, reply.body[:500]
    assert reply.broke is None
    assert peak < MEMORY, f"{peak / 1e6:.0f} MB"
    assert taken < SECONDS, f"{taken:.1f} s of the processor"
    return reply


@pytest.fixture
def gema(cast: Cast) -> Cast:
    cast.operation(
        "gema", "SELECT :teks AS teks [[ , :id AS id ]]",
        parameters=({"name": "teks", "required": False}, {"name": "id", "type": "integer", "required": False}),
    )  # fmt: skip
    return cast


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("bomb", BODIES)
def test_a_body_that_makes_work_is_bounded(gema: Cast, bomb: str, protocol: str) -> None:
    kind, make, headers = BODIES[bomb]
    body = make()
    sent = {"accesskey": gema.key, "content_type": kind, **headers}
    reply = within_bounds(lambda: call(PROTOCOLS[protocol], "POST", body, None, **sent))
    assert b"root:" not in reply.body
    if "content_encoding" in headers:
        assert reply.status != 200 or len(reply.body) < 10_000
    assert gema.get("semua").status == 200


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("bomb", QUERIES)
def test_an_address_that_makes_work_is_bounded(gema: Cast, bomb: str, protocol: str) -> None:
    within_bounds(lambda: call(f"{PROTOCOLS[protocol]}?{QUERIES[bomb]}", accesskey=gema.key))
    assert gema.get("semua").status == 200


def test_the_bounds_find_a_bomb() -> None:
    """Both measures fail for what they are to find."""
    with pytest.raises(AssertionError, match="MB"):
        within_bounds(lambda: Reply(200, {}, b"a" * (MEMORY + 1), None))

    def works() -> Reply:
        end = time.thread_time() + SECONDS * 1.1
        while time.thread_time() < end:
            pass
        return Reply(200, {}, b"", None)

    with pytest.raises(AssertionError, match="processor"):
        within_bounds(works)

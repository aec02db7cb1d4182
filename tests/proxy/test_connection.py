"""The body of a response relies on methods of http.client that are not public."""

from __future__ import annotations

import io
from http.client import HTTPResponse

import pytest

from proxyservices.transport.connection import MalformedResponse, ResponseBody


def body_of(data: bytes, kind: type[ResponseBody] = ResponseBody) -> ResponseBody:
    return kind(io.BufferedReader(io.BytesIO(data)), None, True)  # type: ignore[arg-type]


class CountingBody(ResponseBody):
    framings = 0
    ends = 0

    def _get_chunk_left(self) -> int | None:
        self.framings += 1
        return super()._get_chunk_left()

    def _close_conn(self) -> None:
        self.ends += 1
        super()._close_conn()


def test_it_works() -> None:
    body = body_of(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nnext")
    assert [body.read1(100), body.read1(100), body.read1(100)] == [b"abc", b"de", b""]


def test_http_client_calls_the_methods_that_are_replaced() -> None:
    body = body_of(b"3\r\nabc\r\n0\r\n\r\n", CountingBody)
    assert isinstance(body, CountingBody)
    assert (body.read1(100), body.framings) == (b"abc", 1)
    assert (body.read1(100), body.framings, body.ends) == (b"", 2, 1)


def test_http_client_still_has_the_methods_that_are_replaced() -> None:
    assert {"_get_chunk_left", "_close_conn", "read1"} <= vars(HTTPResponse).keys()


@pytest.mark.parametrize("framing", [b"+3\r\n", b"0x3\r\n", b"3_0\r\n", b" 3\r\n", b"3\n", b"-3\r\n"])
def test_framing_that_http_client_accepts_is_refused(framing: bytes) -> None:
    with pytest.raises(MalformedResponse):
        body_of(framing + b"abc\r\n0\r\n\r\n").read1(100)

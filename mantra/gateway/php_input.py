"""Parameters as PHP gives them to its programs, which is how the callers of 1.99x write them.

A query string or form is split first and then decoded once.
"""

from __future__ import annotations

import io
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.http import parse_header_parameters

from mantra.gateway import http
from mantra.gateway.http import Environ
from registry import faults
from registry.results import Fault

_MULTIPART = "multipart/form-data"


def pairs(query: str) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of a query string, decoded once. Its letters are bytes. Raises Fault."""
    pieces = query.split("&")
    if len(pieces) > http.MAX_FIELDS:
        raise Fault(faults.ADDRESS_INVALID)
    split = (piece.partition("=") for piece in pieces if piece)
    return [(decoded(name), decoded(value)) for name, _equals, value in split]


def form(environ: Environ) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of a form, decoded once. Any media type but multipart/form-data is URL-encoded.

    Raises Fault.
    """
    body = http.body(environ)
    media_type, _, options = environ.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() == _MULTIPART:
        return _multipart(body, f"{_MULTIPART};{options}")
    try:
        return pairs(body.decode("latin-1"))
    except Fault:
        raise _too_many() from None


class _NoFiles(FileUploadHandler):
    """Skips the files of a form: no operation of 1.99x has one for a parameter."""

    def new_file(self, *_arguments: Any, **_more: Any) -> NoReturn:
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None: ...

    def file_complete(self, file_size: int) -> None: ...


def _multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    boundary = parse_header_parameters(content_type)[1].get("boundary", "").encode("latin-1", "replace")
    # Counted before they are read: Django reads twenty times as many parts as a call may have fields.
    if boundary and body.count(b"\n--" + boundary) > http.MAX_FIELDS + 1:
        raise _too_many()
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": len(body)}
    try:
        # In ISO-8859-1 every letter is the byte that was sent.
        fields, _files = MultiPartParser(meta, io.BytesIO(body), [_NoFiles()], "latin-1").parse()
    except MultiPartParserError:
        raise _invalid("bukan formulir multipart yang sah", "it is not a valid multipart form") from None
    except SuspiciousOperation:  # Django's limits on the number of fields and files, and on the size of all values
        raise _too_many() from None
    values = [(name, str(value)) for name, values in fields.lists() for value in values]
    if len(values) > http.MAX_FIELDS:
        raise _too_many()
    return [(text_of(name.encode("latin-1")), text_of(value.encode("latin-1"))) for name, value in values]


def _too_many() -> Fault:
    return _invalid("terlalu banyak isian", "it has too many fields")


def _invalid(id: str, en: str) -> Fault:
    return Fault(faults.BODY_INVALID, reason_id=id, reason_en=en)


def decoded(text: str) -> str:
    """Return a percent-encoded part of an address or form as text. The letters of ``text`` are bytes."""
    if "%" not in text and "+" not in text and text.isascii():  # the most frequent case: nothing to decode
        return text
    return text_of(unquote_to_bytes(text.replace("+", " ").encode("latin-1")))


def decoded_again(value: str) -> str:
    """Return a value that was decoded once, decoded a second time.

    A value that is no text afterwards was encoded once only, such as %AB% for LIKE: it stays as it is.
    """
    if "%" not in value and "+" not in value:
        return value
    try:
        return unquote_to_bytes(value.replace("+", " ")).decode()
    except UnicodeDecodeError:
        return value


def text_of(content: bytes) -> str:
    """Return bytes as text: as UTF-8, or else as ISO-8859-1, which callers from before UTF-8 send."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")

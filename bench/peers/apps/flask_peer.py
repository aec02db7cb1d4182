"""Flask and psycopg2: a key from the configuration, then the statement. A connection for each thread stays open."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg2
from flask import Flask, Response, abort, request
from known import COLUMNS, DATABASE, DIGEST, FETCH
from psycopg2.extras import RealDictCursor
from streams import FORMATS

NAMES = ", ".join(COLUMNS)
application = Flask(__name__)
_held = threading.local()


def connection() -> Any:
    if not hasattr(_held, "connection"):
        _held.connection = psycopg2.connect(**DATABASE)
        _held.connection.autocommit = True
    return _held.connection


@application.before_request
def check() -> None:
    given = hashlib.sha256(request.headers.get("AccessKey", "").encode()).hexdigest()
    if not hmac.compare_digest(given, DIGEST):
        abort(401)


@application.get("/pegawai")
def one() -> Response:
    with connection().cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(f"SELECT {NAMES} FROM pegawai WHERE nip = %s", (request.args["nip"],))
        body = orjson.dumps({"data": cursor.fetchall()}, default=str)
    return Response(body, mimetype="application/json")


def batches(cursor_factory: Any = None) -> Iterator[list[Any]]:
    """The million rows by a server-side cursor, in a connection of their own."""
    with (
        psycopg2.connect(**DATABASE) as own,
        own.cursor(name="many", cursor_factory=cursor_factory) as cursor,
    ):
        cursor.execute(f"SELECT {NAMES} FROM pegawai_banyak")
        while batch := cursor.fetchmany(FETCH):
            yield batch
    own.close()


@application.get("/semua.<suffix>")
def many(suffix: str) -> Response:
    write, media_type = FORMATS[suffix]
    return Response(write(batches()), mimetype=media_type)

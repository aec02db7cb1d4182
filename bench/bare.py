"""What an engine's answers are measured against, each in a process of its own: its driver's plain loop.

    python -m bench.bare TASK

The task is a JSON object: ``engine`` and ``source`` (the settings of a data source), ``path`` for the engines that
are files, ``sql`` with its :marks, ``what`` to do. Prints a JSON object. ``what`` is one of

    one     the statement for one row after another, for ``seconds``: seconds of wall and of CPU that one takes
    many    one statement for many rows, fetched by FETCH: the same for all of it
    json    the same, and each batch through orjson as dicts
    door    one row after another through the bus's WSGI application in this process: all of a call but HTTP's server
"""

from __future__ import annotations

import io
import json
import random
import re
import sqlite3
import sys
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import orjson

from bench.bus import ROWS

FETCH = 2000
NIP = "1980%014d"

Execute = Callable[[str], Any]


def _postgresql(task: dict[str, Any]) -> Execute:
    import psycopg2

    source = task["source"]
    words = {name: source[name] for name in ("host", "port", "user", "password")}
    cursor = psycopg2.connect(dbname=source["database"], **words).cursor()
    sql = _marked(task["sql"], lambda name: f"%({name})s")
    return lambda value: cursor.execute(sql, {"nip": value}) or cursor


def _mysql(task: dict[str, Any]) -> Execute:
    import MySQLdb

    words = {name: task["source"][name] for name in ("host", "port", "user", "password", "database")}
    cursor = MySQLdb.connect(**words, charset="utf8mb4").cursor()
    sql = _marked(task["sql"], lambda name: f"%({name})s")

    def execute(value: str) -> Any:
        cursor.execute(sql, {"nip": value})
        return cursor

    return execute


def _tds(task: dict[str, Any]) -> Execute:
    import pyodbc

    source = task["source"]
    version = "5.0" if task["engine"] == "sybase" else "7.4"
    words = (
        f"DRIVER=FreeTDS;SERVER={source['host']};PORT={source['port']};UID={source['user']};PWD={source['password']};"
        f"DATABASE={source['database']};TDS_Version={version};ClientCharset=UTF-8"
    )
    cursor = pyodbc.connect(words, autocommit=True).cursor()
    if task["engine"] == "sybase":
        # Not every server of that age takes parameters.
        text = _marked(task["sql"], lambda name: "'%s'")
        return lambda value: cursor.execute(text % value)
    sql = _marked(task["sql"], lambda name: "?")
    return lambda value: cursor.execute(sql, value)


def _oracle(task: dict[str, Any]) -> Execute:
    import oracledb

    source = task["source"]
    dsn = f"{source['host']}:{source['port']}/{source['service_name']}"
    cursor = oracledb.connect(user=source["user"], password=source["password"], dsn=dsn).cursor()
    cursor.arraysize = cursor.prefetchrows = FETCH if task["what"] in ("many", "json") else 2
    return lambda value: cursor.execute(task["sql"], nip=value)


def _sqlite(task: dict[str, Any]) -> Execute:
    connection = sqlite3.connect(f"file:{task['path']}?mode=ro", uri=True)
    return lambda value: connection.execute(task["sql"], {"nip": value})


class _Records:
    """dbfread's records as a cursor gives rows. It knows no SQL: the loop passes over what the statement leaves out."""

    def __init__(self, path: str) -> None:
        from dbfread import DBF

        self._table = DBF(path, encoding="cp850")
        self.description = [(name,) for name in self._table.field_names]
        self._records: Any = iter(())

    def up_to(self, value: str) -> _Records:
        self._records = (record for record in self._table if record["NIP"] <= value)
        return self

    def fetchmany(self, size: int) -> list[Any]:
        return list(islice(self._records, size))


def _dbfread(task: dict[str, Any]) -> Execute:
    return _Records(task["file"]).up_to


DRIVERS: dict[str, Callable[[dict[str, Any]], Execute]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlserver": _tds,
    "sybase": _tds,
    "oracle": _oracle,
    "sqlite": _sqlite,
    # What a call of it runs on is SQLite, over the copy that the bus has made.
    "dbase": _sqlite,
    "dbfread": _dbfread,
}


def _marked(sql: str, mark: Callable[[str], str]) -> str:
    return re.sub(r":(\w+)", lambda found: mark(found[1]), sql)


def _one(execute: Execute, seconds: float) -> dict[str, float]:
    def once(number: int) -> None:
        if len(execute(NIP % number).fetchmany(FETCH)) != 1:
            raise RuntimeError(f"no row {number}")

    return _over_and_over(once, seconds)


def _over_and_over(once: Callable[[int], None], seconds: float) -> dict[str, float]:
    pick = random.Random(42)
    for _ in range(50):
        once(pick.randint(1, ROWS))
    count, wall, cpu = 0, time.perf_counter(), time.process_time()
    until = wall + seconds
    while (now := time.perf_counter()) < until:
        once(pick.randint(1, ROWS))
        count += 1
    return {"wall": (now - wall) / count, "cpu": (time.process_time() - cpu) / count}


def _many(execute: Execute, rows: int, encode: bool) -> dict[str, float]:
    execute(NIP % 10).fetchmany(FETCH)
    wall, cpu = time.perf_counter(), time.process_time()
    cursor, found = execute(NIP % rows), 0
    names = [column[0] for column in cursor.description]
    while batch := cursor.fetchmany(FETCH):
        found += len(batch)
        if encode:
            orjson.dumps([dict(zip(names, row, strict=True)) for row in batch], default=str)
    used = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if found != rows:
        raise RuntimeError(f"{found} rows")
    return used


def _door(task: dict[str, Any]) -> dict[str, float]:
    from mantra.wsgi import application
    from registry.snapshot import holder

    holder.refresh()

    def once(number: int) -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": task["address"],
            "QUERY_STRING": f"nip={NIP % number}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_ACCESSKEY": task["key"],
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
        }
        answer = application(environ, lambda status, headers: None)
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if b"Pegawai %d" % number not in body:
            raise RuntimeError(f"not the answer: {body[:300]!r}")

    return _over_and_over(once, task["seconds"])


def main(task: dict[str, Any]) -> dict[str, float]:
    if task["what"] == "door":
        return _door(task)
    execute = DRIVERS[task["engine"]](task)
    if task["what"] == "one":
        return _one(execute, task["seconds"])
    return _many(execute, task["rows"], task["what"] == "json")


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))

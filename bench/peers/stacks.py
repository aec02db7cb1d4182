"""The peers: each is started as a good engineer of its kind would, with as many processes as the bus has."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bus import COLUMNS, MANY, ROOT, Bench
from bench.peers.surroundings import version_of
from bench.proxy import nginx
from tests.servers.process import answers, ending_with_us, find_binary, free_port, wait_until

KEY = "gggggggggg"
WORKERS, THREADS = 2, 8
APPS = Path(__file__).resolve().parent / "apps"
REQUIREMENTS = ROOT / "bench" / "requirements-peers.txt"
VENV = ROOT / "var" / "peers-venv"


class Missing(Exception):
    """What a peer needs and the machine lacks; its text says what to install."""


@dataclass(frozen=True)
class Peer:
    """A running peer. It cannot answer a path that is empty. ``one`` has a %d for the number of a person."""

    name: str
    duties: str
    port: int
    process: int
    one: str = ""
    json: str = ""
    csv: str = ""
    proxied: str = ""
    key: str = KEY


def environment(bench: Bench, **more: str) -> dict[str, str]:
    """What the environment says to the applications."""
    return {
        "PATH": os.environ["PATH"],
        "PEERS_PORT": str(bench.server.port),
        "PEERS_DATABASE": bench.server.database,
        "PEERS_USER": bench.server.user,
        "PEERS_PASSWORD": bench.server.password,
        "PEERS_COLUMNS": ",".join(COLUMNS),
        "PEERS_DIGEST": hashlib.sha256(KEY.encode()).hexdigest(),
        **more,
    }


def python() -> str:
    """The interpreter of the peers' own environment, which is made where it is missing or its list has changed.

    Raises Missing.
    """
    wanted, seal = REQUIREMENTS.read_text(), VENV / "made-of.txt"
    program = str(VENV / "bin" / "python")
    if not seal.exists() or seal.read_text() != wanted:
        install = [program, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, stdout=sys.stderr)
            subprocess.run(install, check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError as error:
            raise Missing(f"the packages of {REQUIREMENTS.name} could not be installed into {VENV}") from error
        seal.write_text(wanted)
    return program


def packages() -> dict[str, str]:
    """The versions of what the peers' environment was asked for."""
    listed = subprocess.run(
        [python(), "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
    )
    wanted = (
        "django",
        "djangorestframework",
        "gunicorn",
        "psycopg2-binary",
        "orjson",
        "flask",
        "requests",
        "datasette",
    )
    found = {each["name"].lower(): each["version"] for each in json.loads(listed.stdout)}
    return {name: found[name] for name in wanted}


@contextmanager
def _gunicorn(
    bench: Bench, module: str, worker_class: str = "gthread", threads: int = THREADS, **more: str
) -> Iterator[tuple[int, int]]:
    """A peer's application under gunicorn: the port and the process."""
    port = free_port()
    words = [python(), "-m", "gunicorn", "-k", worker_class, "-w", str(WORKERS), "--threads", str(threads)]
    words += ["--keep-alive", "75", "--timeout", "600", "-b", f"127.0.0.1:{port}", f"{module}:application"]
    log = bench.folder / f"{module}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ending_with_us(words), cwd=APPS, env=environment(bench, **more), stdout=file, stderr=file
        )
    with _until_the_end(process, lambda: answers(port), module, log):
        yield port, process.pid


@contextmanager
def _until_the_end(process: subprocess.Popen[bytes], ready: Callable[[], bool], name: str, log: Path) -> Iterator[None]:
    try:
        wait_until(lambda: process.poll() is not None or ready(), 60, name)
        if process.poll() is not None:
            raise RuntimeError(f"{name}: {log.read_text(errors='replace')[-2000:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def flask(bench: Bench) -> Iterator[Peer]:
    with _gunicorn(bench, "flask_peer") as (port, process):
        one = "/pegawai?nip=1980%014d"
        yield Peer("flask", "key, select", port, process, one, "/semua.json", "/semua.csv")


_DRF_TABLES = """
CREATE TABLE IF NOT EXISTS peer_key
    (id serial PRIMARY KEY, digest varchar(64) UNIQUE, application varchar(50), active boolean);
CREATE TABLE IF NOT EXISTS peer_grant (id serial PRIMARY KEY, application varchar(50), operation varchar(50),
    quota bigint, UNIQUE (application, operation));
CREATE TABLE IF NOT EXISTS peer_used (id serial PRIMARY KEY, grant_id integer REFERENCES peer_grant, day integer,
    calls bigint, UNIQUE (grant_id, day)) WITH (fillfactor = 50);
INSERT INTO peer_key (digest, application, active) VALUES (%(digest)s, 'siak', true);
INSERT INTO peer_grant (application, operation, quota)
    SELECT 'siak', operation, 1000000000 FROM unnest(ARRAY['pegawai', 'semua', 'alias']) AS operation
"""


def _drf_tables(bench: Bench) -> None:
    connection = bench.connection()
    with connection, connection.cursor() as cursor:
        cursor.execute(_DRF_TABLES, {"digest": hashlib.sha256(KEY.encode()).hexdigest()})
    connection.close()


@contextmanager
def drf(bench: Bench, upstream: str) -> Iterator[Peer]:
    _drf_tables(bench)
    with _gunicorn(bench, "drf_peer", PEERS_UPSTREAM=upstream) as (port, process):
        one, proxied = "/pegawai?nip=1980%014d", "/alias/"
        duties = "key, grant, quota (PostgreSQL)"
        yield Peer("drf", duties, port, process, one, "/semua.json", "/semua.csv", proxied)


def _sqlite(bench: Bench) -> Path:
    """The same two tables as a SQLite file."""
    path = bench.folder / "bench.sqlite"
    names = ", ".join(COLUMNS)
    as_text = ", ".join(f"{name}::text" if name in ("tmt", "lahir", "gaji") else name for name in COLUMNS)
    file, connection = sqlite3.connect(path), bench.connection()
    for table in ("pegawai", "pegawai_banyak"):
        file.execute(
            f"CREATE TABLE {table} (nip TEXT PRIMARY KEY, nama TEXT, golongan TEXT, unit_kerja TEXT, tmt TEXT,"
            " gaji NUMERIC, aktif INTEGER, lahir TEXT, email TEXT, catatan TEXT)"
        )
        with connection.cursor(name="copy") as cursor:
            cursor.itersize = 10_000
            cursor.execute(f"SELECT {as_text} FROM {table}")
            file.executemany(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(COLUMNS))})", cursor)
        file.commit()
    file.close()
    connection.close()
    return path


@contextmanager
def datasette(bench: Bench) -> Iterator[Peer]:
    """Its own server is uvicorn; a process for each core of the bus's has the file to itself."""
    path = _sqlite(bench)
    worker = "uvicorn_worker.UvicornWorker"
    with _gunicorn(bench, "datasette_peer", worker, 1, PEERS_SQLITE=str(path)) as (port, process):
        yield Peer(
            "datasette",
            "no key, canned query (SQLite)",
            port,
            process,
            "/bench/by_nip.json?_shape=array&nip=1980%014d",
            f"/bench/pegawai_banyak.json?_shape=array&_nocount=1&_nofacet=1&_size={MANY}",
            "/bench/pegawai_banyak.csv?_stream=1&_nocount=1&_nofacet=1&_size=max",
        )


_FPM = """
[global]
error_log = {folder}/fpm.log
daemonize = no
[www]
{account}
listen = {folder}/fpm.sock
listen.mode = 0666
pm = static
pm.max_children = {children}
clear_env = no
catch_workers_output = yes
php_admin_value[opcache.enable] = 1
php_admin_value[opcache.validate_timestamps] = 0
php_admin_value[output_buffering] = 65536
php_admin_value[max_execution_time] = 600
php_admin_value[memory_limit] = 512M
"""
_BEFORE_FPM = """
    upstream fpm {{ server unix:{folder}/fpm.sock; keepalive {kept}; }}
    server {{
        listen 127.0.0.1:{port};
        root {apps};
        location ~ \\.php$ {{
            fastcgi_keep_conn on;
            fastcgi_max_temp_file_size 0;
            fastcgi_read_timeout 600;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_pass fpm;
        }}
    }}
"""
#: Connections that each of nginx's two processes keeps, as many as a load has. Each of them holds one of FPM's
#: processes, so that with fewer of those callers would wait for one that does nothing.
KEPT = 8
CHILDREN = 2 * KEPT


def _php_program() -> str:
    """The program of PHP-FPM. Raises Missing."""
    for version in ("8.4", "8.3", "8.2", ""):
        try:
            return find_binary(f"php-fpm{version}")
        except FileNotFoundError:
            continue
    raise Missing("PHP-FPM is not installed: apt-get install --no-install-recommends php-fpm php-pgsql")


def php_version() -> str:
    return version_of(_php_program(), "-v")


def _check_php(program: str) -> None:
    modules = subprocess.run([program, "-m"], capture_output=True, text=True, check=True).stdout
    if "pdo_pgsql" not in modules:
        raise Missing("PHP's driver of PostgreSQL is not installed: apt-get install --no-install-recommends php-pgsql")


@contextmanager
def php(bench: Bench) -> Iterator[Peer]:
    """nginx, PHP-FPM with the byte code kept, PDO with persistent connections."""
    program = _php_program()
    _check_php(program)
    folder = bench.folder / "php"
    folder.mkdir()
    root = os.geteuid() == 0
    account = "user = root\ngroup = root" if root else ""
    log = folder / "fpm.log"
    (folder / "fpm.conf").write_text(_FPM.format(folder=folder, account=account, children=CHILDREN))
    process = subprocess.Popen(
        ending_with_us([program, "-F", *(["-R"] if root else []), "-y", str(folder / "fpm.conf")]),
        env=environment(bench),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    port = free_port()
    content = _BEFORE_FPM.format(folder=folder, port=port, apps=APPS, kept=KEPT)
    with (
        _until_the_end(process, (folder / "fpm.sock").exists, "PHP-FPM", log),
        nginx(folder / "nginx", content),
    ):
        wait_until(lambda: answers(port), 10, "nginx")
        one, many = "/pegawai.php?nip=1980%014d", "/semua.php?format="
        yield Peer("php", "key, select (nginx, PHP-FPM, PDO)", port, process.pid, one, many + "json", many + "csv")

"""What runs in production: the compose file, its .env, nginx and gunicorn."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from cryptography.fernet import Fernet
from django.conf import settings

from mantra.body_limit import UPLOADS
from tests.servers.bus import APPLICATION, GUNICORN, Bus, children, command_line
from tests.servers.database import migrated
from tests.servers.nginx import Nginx
from tests.servers.process import answers, ending_with_us, find_binary, free_port, permit, wait_until
from tests.servers.surroundings import environment
from tests.servers.wire import read_response

ROOT = Path(settings.BASE_DIR)
COMPOSE = (ROOT / "docker-compose.yml").read_text()
TLS = (ROOT / "docker-compose.tls.yml").read_text()
MONITORING = (ROOT / "docker-compose.monitoring.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
#: Settings that the image or the compose file itself decides.
FIXED = {
    "MANTRA_DATABASE_URL",
    "MANTRA_QUOTA_STORE",
    "MANTRA_VAR_DIR",
    "MANTRA_STATIC_FROM_PACKAGES",
    "MANTRA_JOURNAL_DIR",  # the volume's place
    "MANTRA_JOURNAL_ARCHIVE_DIR",
    "MANTRA_FAST_LANE_DIR",  # likewise
    "MANTRA_SOURCE_FILE_DIRS",
    "MANTRA_UPLOAD_DIR",
    "MANTRA_FILES_DIR",
    "MANTRA_METRICS_DIR",
    "MANTRA_EXPORT_DIR",
    "MANTRA_JOB_DIR",
    "MANTRA_JOURNAL",  # off for measurements only
    "MANTRA_DEBUG",
}
#: What docker compose reads by itself.
COMPOSES_OWN = {"COMPOSE_FILE"}


def asked_for() -> set[str]:
    """The variables that the compose files take from .env."""
    found = set(re.findall(r"\$\{(\w+)", COMPOSE + TLS + MONITORING))
    environments = [service.get("environment", {}) for service in SERVICES.values()]
    return found | {name for environment in environments for name, value in environment.items() if value is None}


def offered() -> set[str]:
    """The variables that .env.example explains."""
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def make_env(output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploy" / "make-env"), *words, "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


# --------------------------------------------------------------------------------------- compose


def test_env_example_and_compose_name_the_same_variables() -> None:
    assert offered() - COMPOSES_OWN == asked_for()


def test_every_setting_can_be_set_or_is_fixed_on_purpose() -> None:
    read = set(re.findall(r'env(?:\.\w+)?\(\s*"(\w+)"', (ROOT / "mantra" / "settings.py").read_text()))
    assert read - FIXED <= offered()
    assert read >= FIXED


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_runs_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate", "backup"}))
def test_a_service_tells_its_health_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_only_nginx_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["nginx"]
    assert SERVICES["nginx"]["networks"] == ["outer"]
    assert SERVICES["postgres"]["networks"] == SERVICES["valkey"]["networks"] == ["inner"]
    assert yaml.safe_load(COMPOSE)["networks"]["inner"]["internal"] is True


def test_images_are_pinned_by_tag() -> None:
    images = [service["image"] for service in SERVICES.values()]
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE)
    images += [image for image in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE) if image not in stages]
    for image in images:
        assert re.search(r":[^:/]+$", image), image
        assert not image.endswith(":latest")


def test_migrations_run_before_anything_serves() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"]["postgres"] == {"condition": "service_healthy"}


def test_a_backup_is_made_beside_the_services_with_all_that_they_keep() -> None:
    backup = SERVICES["backup"]
    kept = {volume.split(":")[0] for name in ("web", "worker") for volume in SERVICES[name]["volumes"]}
    # Metrics begin again, files of exports and jobs expire, and the fast lane's are of minutes.
    assert kept - {"metrics", "exports", "jobs", "fast-lane"} <= {volume.split(":")[0] for volume in backup["volumes"]}
    assert backup["profiles"] == ["backup"]  # "up" does not start it
    server = SERVICES["postgres"]["image"].partition(":")[2].partition("-")[0]
    assert f"postgresql-client-{server} " in (ROOT / "Dockerfile").read_text()
    for name, service in SERVICES.items():
        if "build" in service:
            assert f"AS {service['build']['target']}\n" in (ROOT / "Dockerfile").read_text(), name


def test_the_demo_never_gets_into_production() -> None:
    assert "demo" not in COMPOSE + TLS + (ROOT / "Dockerfile").read_text()
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert not {"demo", "tests", "bench", "var", ".git", ".env", "deploy"} & set(kept)


def test_the_image_has_all_that_runs_and_the_guides() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/apps.py")}
    assert {*packages, "adapters", "locale", "static", "templates", "docs/id", "docs/img"} <= kept


def test_web_can_be_scaled() -> None:
    assert not {"container_name", "ports"} & set(SERVICES["web"])


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "VALKEY_PASSWORD", "MANTRA_SECRET_KEY", "MANTRA_FIELD_KEYS"])
def test_a_secret_has_no_default(name: str) -> None:
    uses = re.findall(r"\$\{" + name + r"([^}]*)\}", COMPOSE)
    assert uses
    assert all(use.startswith(f":?{name} is missing") for use in uses)
    assert f"\n{name}=\n" in (ROOT / ".env.example").read_text()


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
@pytest.mark.parametrize("tls", [False, True])
def test_docker_compose_takes_the_files(tmp_path: Path, tls: bool) -> None:
    words = ["https://bus.contoh.go.id", "--tls", str(tmp_path)] if tls else ["http://10.1.2.3:8080"]
    assert make_env(tmp_path / "env", *words).returncode == 0
    done = compose_config(tmp_path / "env", tls)
    assert done.returncode == 0, done.stderr
    merged = yaml.safe_load(done.stdout)["services"]
    assert set(merged) - {"backup"} == {"nginx", "web", "worker", "migrate", "postgres", "valkey"}
    assert len(merged["nginx"]["ports"]) == (2 if tls else 1)
    assert merged["web"]["environment"]["MANTRA_HTTPS"] == ("1" if tls else "0")


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
@pytest.mark.parametrize("switch", ["", "0"])
def test_docker_compose_has_the_fast_lane_on(tmp_path: Path, switch: str) -> None:
    make_env(tmp_path / "env", "http://10.1.2.3")
    with (tmp_path / "env").open("a") as file:
        file.write(f"\nMANTRA_FAST_LANE={switch}\n" if switch else "")
    services = yaml.safe_load(compose_config(tmp_path / "env").stdout)["services"]
    secret = read_env(tmp_path / "env")["MANTRA_NGINX_SECRET"]
    for name in ("nginx", "web"):
        assert services[name]["environment"]["MANTRA_NGINX_SECRET"] == secret
        assert services[name]["environment"]["MANTRA_FAST_LANE"] == (switch or "1")
    for name in ("nginx", "web", "worker"):
        assert [each for each in services[name]["volumes"] if str(each).split(":")[1] == "/var/lib/mantra/fast-lane"]


def test_the_images_entry_point_runs_the_fast_lanes_script() -> None:
    """It runs what is executable in that folder."""
    script = ROOT / "deploy/nginx/fast_lane/entrypoint.sh"
    assert os.access(script, os.X_OK)
    mounted = [volume.split(":") for volume in SERVICES["nginx"]["volumes"]]
    assert ["./deploy/nginx/fast_lane/entrypoint.sh", "/docker-entrypoint.d/40-fast-lane.sh", "ro"] in mounted


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_docker_compose_takes_prometheus_with_a_token(tmp_path: Path) -> None:
    make_env(tmp_path / "env", "http://10.1.2.3")
    refused = compose_config(tmp_path / "env", monitoring=True)
    assert "MANTRA_METRICS_TOKEN is missing from .env" in refused.stderr
    with (tmp_path / "env").open("a") as file:
        file.write("\nMANTRA_METRICS_TOKEN=a-token-for-tests-only\n")
    services = yaml.safe_load(compose_config(tmp_path / "env", monitoring=True).stdout)["services"]
    assert services["web"]["environment"]["MANTRA_METRICS_TOKEN"] == "a-token-for-tests-only"
    (port,) = services["prometheus"]["ports"]
    assert "127.0.0.1" in str(port)
    for name in ("web", "worker"):
        assert [each for each in services[name]["volumes"] if str(each).split(":")[1].endswith("/metrics")]


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_no_file_is_mounted_into_a_mounted_folder(tmp_path: Path) -> None:
    # The engine has to make a place for it there, and the folder is for reading only: the container would not start.
    make_env(tmp_path / "env", "https://bus.contoh.go.id", "--tls", str(tmp_path))
    services = yaml.safe_load(compose_config(tmp_path / "env", tls=True).stdout)["services"]
    for name, service in services.items():
        places = [volume.split(":")[1] for volume in service["volumes"]]
        assert len(places) == len(set(places))
        assert not [(name, place) for place in places for other in places if place.startswith(f"{other}/")]


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
@pytest.mark.parametrize("name", ["MANTRA_SECRET_KEY", "POSTGRES_PASSWORD", "MANTRA_BASE_URL"])
def test_docker_compose_says_what_is_missing(tmp_path: Path, name: str) -> None:
    make_env(tmp_path / "env", "http://10.1.2.3")
    lines = (tmp_path / "env").read_text().splitlines()
    (tmp_path / "env").write_text("\n".join(f"{name}=" if line.startswith(f"{name}=") else line for line in lines))
    done = compose_config(tmp_path / "env")
    assert done.returncode != 0
    assert f"{name} is missing from .env" in done.stderr


def compose_config(env: Path, tls: bool = False, monitoring: bool = False) -> subprocess.CompletedProcess[str]:
    command = ["docker-compose", "--env-file", str(env), "-f", "docker-compose.yml"]
    command += ["-f", "docker-compose.tls.yml"] if tls else []
    command += ["-f", "docker-compose.monitoring.yml"] if monitoring else []
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run([*command, "config"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False)


# -------------------------------------------------------------------------------------- make-env


def test_make_env_writes_fresh_secrets_for_its_owner_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert make_env(tmp_path / name, "https://bus.contoh.go.id").returncode == 0
    one, two = read_env(tmp_path / "one"), read_env(tmp_path / "two")
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert all(one.values())
    Fernet(one["MANTRA_FIELD_KEYS"])
    number, _, pepper = one["MANTRA_KEY_PEPPERS"].partition(":")
    assert number.isdigit()
    assert len(pepper) >= 16
    for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD"):
        assert re.fullmatch(r"[0-9a-f]{48}", one[name])  # it becomes part of an address
    secret = [name for name in one if re.search("KEY|PEPPER|PASSWORD", name)]
    assert len(secret) == 8
    assert all(one[name] != two[name] for name in secret)


def test_make_env_knows_who_ends_tls(tmp_path: Path) -> None:
    make_env(tmp_path / "balancer", "https://bus.contoh.go.id")
    make_env(tmp_path / "here", "https://bus.contoh.go.id:8443", "--tls", str(tmp_path))
    make_env(tmp_path / "plain", "http://10.1.2.3:8080")
    balancer, here, plain = (read_env(tmp_path / name) for name in ("balancer", "here", "plain"))
    assert (balancer["MANTRA_HTTPS"], balancer["MANTRA_TRUSTED_PROXIES"]) == ("1", "2")
    assert (here["MANTRA_HTTPS"], here["MANTRA_TRUSTED_PROXIES"]) == ("1", "1")
    assert here["COMPOSE_FILE"] == "docker-compose.yml:docker-compose.tls.yml"
    assert (here["MANTRA_TLS_DIR"], here["MANTRA_HTTPS_PORT"]) == (str(tmp_path), "8443")
    assert (plain["MANTRA_HTTPS"], plain["MANTRA_HTTP_PORT"]) == ("0", "8080")
    assert plain["MANTRA_ALLOWED_HOSTS"] == "10.1.2.3"


def test_make_env_leaves_an_env_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("MANTRA_FIELD_KEYS=precious\n")
    done = make_env(tmp_path / "env", "https://bus.contoh.go.id")
    assert done.returncode != 0
    assert (tmp_path / "env").read_text() == "MANTRA_FIELD_KEYS=precious\n"


@pytest.mark.parametrize(
    "url", ["bus.contoh.go.id", "ftp://bus.contoh.go.id", "https://", "https://bus.contoh.go.id/x"]
)
def test_make_env_refuses_what_is_no_address(tmp_path: Path, url: str) -> None:
    assert make_env(tmp_path / "env", url).returncode != 0
    assert not (tmp_path / "env").exists()


# ----------------------------------------------------------------------------------------- nginx


class Behind:
    """A stand-in for the bus that tells what reached it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            while head := b"".join(iter(lambda: file.readline().strip(b"\r\n") + b"\n", b"\n")).decode():
                self.heads.append(head)
                if "/broken" in head:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf \r\n")
                    return
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: r-1\r\n\r\nok")

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            # Wakes the thread that waits in accept().
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()


@pytest.fixture
def behind() -> Iterator[Behind]:
    server = Behind()
    yield server
    server.close()


@pytest.fixture
def nginx(tmp_path: Path, behind: Behind) -> Iterator[Nginx]:
    server = Nginx(tmp_path, behind)
    yield server
    server.close()


PLAIN = {
    "/json/a/b/c": "1", "/mantra/api/a/b/c": "1", "/MANTRA/XML/a": "1", "/gsb/json/a/b/c": "1", "/a/gsb/json/a": "1",
    "//json/a": "1", "/": "0", "/gsb/": "0", "/rest/a/json/c": "0", "/REST/a/json/c": "0", "//rest/a/json/c": "0",
    "/soap/json/a": "0", "/admin/json/": "0", "/manage/api/v1/": "0", "/static/json/a": "0", "/jsonx/a": "0",
}  # fmt: skip


def test_which_addresses_nginx_serves_without_tls(tmp_path: Path) -> None:
    """MANTRA_PLAIN_LEGACY=1: those of 1.99x in any folder, and none of the bus's own."""
    template = (ROOT / "deploy/nginx/tls.conf.template").read_text()
    (block,) = re.findall(r"^map .*?^}", template, re.M | re.S)
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ access_log off; "
        + "".join(
            f"{name}_temp_path {tmp_path}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + block.replace("${MANTRA_PLAIN_LEGACY}", "1")
        + f' server {{ listen 127.0.0.1:{port}; location / {{ return 200 "$plain"; }} }} }}'
    )
    permit("nginx")
    command = [find_binary("nginx"), "-c", str(config), "-g", "daemon off;"]
    process = subprocess.Popen(ending_with_us(command), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), 10, "nginx")
        found = {path: urllib3.request("GET", f"http://127.0.0.1:{port}{path}").data.decode() for path in PLAIN}
    finally:
        process.terminate()
        process.wait(10)
    assert found == PLAIN


def test_nginx_hands_a_request_on_as_it_came(nginx: Nginx, behind: Behind) -> None:
    twice_encoded = "/mantra/json/bkn/simpeg/op/unit=Dinas%252B3//a%2Fb?x=1&x=2"
    assert nginx.request(twice_encoded, X_Forwarded_For="9.9.9.9", X_Forwarded_Proto="https") == (200, b"ok")
    head = behind.heads[0]
    assert head.startswith(f"GET {twice_encoded} HTTP/1.1\n")
    assert "X-Forwarded-For: 9.9.9.9, 127.0.0.1\n" in head
    assert "X-Forwarded-Proto: http\n" in head
    assert f"Host: 127.0.0.1:{nginx.port}\n" in head
    assert nginx.headers["Server"] == "nginx"


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6Detrics?x=1", "/rest/../metrics"])
def test_nginx_hands_no_metrics_out(nginx: Nginx, behind: Behind, path: str) -> None:
    assert nginx.request(path)[0] == 404
    assert not behind.heads


def test_nginx_forwards_letters_that_nobody_encoded(nginx: Nginx, behind: Behind) -> None:
    target = "/mantra/json/a/b/c/nama=Ünï%26"
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert read_response(connection)[0] == 200
    assert behind.heads[-1].startswith(f"GET {target} HTTP/1.1")


def test_nginx_keeps_its_connections_to_the_bus(nginx: Nginx, behind: Behind) -> None:
    nginx.request("/one")
    nginx.request("/two")
    assert all("Connection:" not in head for head in behind.heads)


def test_nginx_believes_the_scheme_only_from_a_proxy_of_ours(tmp_path: Path, behind: Behind) -> None:
    server = Nginx(tmp_path, behind, trusted_proxies=2)
    try:
        server.request("/", X_Forwarded_Proto="https")
        server.request("/", X_Forwarded_Proto="javascript")
    finally:
        server.close()
    assert "X-Forwarded-Proto: https\n" in behind.heads[0]
    assert "X-Forwarded-Proto: http\n" in behind.heads[1]


def test_nginx_writes_down_no_person(nginx: Nginx, behind: Behind) -> None:
    path = "/api/abcdefghij/bkn/simpeg/op/nik=3201019001010001?nama=Siti"
    nginx.request(path, Referer=f"http://x{path}", User_Agent="Siti 3201019001010001")
    behind.close()
    time.sleep(0.1)
    nginx.process.send_signal(signal.SIGHUP)  # forgets the connections kept to the bus
    wait_until(lambda: nginx.request(path)[0] == 503, 10, "nginx without its bus")
    nginx.request("/x/../../nik=3201019001010001")
    # nginx writes a request down after its answer has gone out.
    wait_until(lambda: '"status":503' in nginx.logs() and '"status":400' in nginx.logs(), 10, "the access log")
    logs = nginx.logs()
    assert '"request_id":"r-1","method":"GET","status":200' in logs
    for person in ("3201019001010001", "Siti", "abcdefghij", "127.0.0.1 "):
        assert person not in logs


def test_nginx_says_in_the_shape_of_a_fault_that_the_bus_is_away(nginx: Nginx, behind: Behind) -> None:
    behind.close()
    status, body = nginx.request("/rest/a/b/c.json")
    told = json.loads(body)
    assert (status, told["status"]) == (503, 503)
    assert told["request_id"]
    assert nginx.headers["Content-Type"] == "application/problem+json"
    assert nginx.headers["Retry-After"] == "5"


def test_nginx_refuses_a_huge_body(nginx: Nginx, behind: Behind) -> None:
    assert nginx.request("/rest/a/b/c", "POST", b"x" * 2_000_000)[0] == 200
    with socket.create_connection(("127.0.0.1", nginx.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 17000000\r\n\r\n")
        assert read_response(connection, "POST")[0] == 413
    assert len(behind.heads) == 1


@pytest.mark.parametrize("path", UPLOADS)
def test_nginx_leaves_the_size_of_an_upload_to_the_bus(nginx: Nginx, behind: Behind, path: str) -> None:
    """Before its body has come: the bus refuses who is not signed in without reading it."""
    with socket.create_connection(("127.0.0.1", nginx.port)) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500000000\r\n\r\n".encode())
        assert read_response(connection, "POST")[0] == 200
    assert len(behind.heads) == 1


@pytest.mark.parametrize("trusted_proxies", [1, 2])
def test_s3_nginx_takes_so_many_requests_at_once_from_one_caller(
    tmp_path: Path, behind: Behind, trusted_proxies: int
) -> None:
    server = Nginx(tmp_path, behind, trusted_proxies=trusted_proxies)
    begun = b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9, 10.0.0.7\r\nContent-Length: 9\r\n\r\n"
    try:
        with ExitStack() as held:
            for _ in range(66):
                held.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(begun)
            wait_until(lambda: server.request("/", X_Forwarded_For="10.0.0.7")[0] == 429, 20, "the refusal")
            status, body = server.request("/", X_Forwarded_For="10.0.0.7")
            told = json.loads(body)
            assert (status, told["status"], server.headers["Retry-After"]) == (429, 429, "1")
            assert server.headers["X-Request-Id"] == told["request_id"]
            # Only a proxy of ours is believed about who calls.
            assert server.request("/", X_Forwarded_For="10.0.0.8")[0] == (200 if trusted_proxies == 2 else 429)
    finally:
        server.close()


def test_b24_nginx_forwards_long_addresses_and_refuses_longer_ones_as_a_problem(nginx: Nginx, behind: Behind) -> None:
    path = "/rest/a/b/c?x=" + "x" * 9_000
    assert nginx.request(path) == (200, b"ok")
    assert f"GET {path} HTTP/1.1\n" in behind.heads[0]
    for address, header, status in [(path * 4, "", 414), ("/", "x" * 40_000, 431)]:
        got, body = nginx.request(address, X_A=header)
        told = json.loads(body)
        assert (got, told["status"]) == (status, status)
        assert nginx.headers["X-Request-Id"] == told["request_id"]
        assert nginx.headers["Content-Type"] == "application/problem+json"
    assert len(behind.heads) == 1


def test_nginx_does_not_make_half_an_answer_look_whole(nginx: Nginx) -> None:
    with pytest.raises(http.client.IncompleteRead):
        nginx.request("/broken")


# -------------------------------------------------------------------------------------- gunicorn


class Embedded(Bus):
    """./run's server: gunicorn with the shipping of the journal and the prober beside it."""

    def start(self, command: Sequence[str] = (*GUNICORN, APPLICATION)) -> None:
        super().start(command)
        try:
            # Only then have the children set up their answer to signals.
            wait_until((self.var / "journal" / "ship.lock").exists, 60, "the shipping")
            wait_until((self.var / "journal" / "probes.alive").exists, 60, "the prober")
        except TimeoutError:
            self.stop()
            raise

    def children(self, word: str) -> list[int]:
        """The processes that carry the word and this server's number, or are its children, in their command line."""
        known = children(self.pid)
        found = {int(folder.name): command_line(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")}
        return [pid for pid, words in found.items() if word in words and (pid in known or str(self.pid) in words)]


def embedded(folder: Path) -> Embedded:
    return Embedded(folder / "var", MANTRA_EMBEDDED="1", WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A bus of all tests that leave it running."""
    with embedded(tmp_path_factory.mktemp("lasting")) as server:
        yield server


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Embedded]:
    """A bus of a test that ends it."""
    with embedded(tmp_path) as server:
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_gunicorn_takes_the_shipping_with_it(bus: Embedded, number: signal.Signals) -> None:
    bus.process.send_signal(number)
    assert bus.process.wait(30) == 0
    assert bus.children("ship_journal") == bus.children("probe_upstreams") == []


def test_the_shipping_outlives_a_worker_but_not_gunicorn(bus: Embedded) -> None:
    [shipping] = bus.children("ship_journal")
    [worker] = bus.children("mantra.wsgi:application")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: bus.children("mantra.wsgi:application") not in ([], [worker]), 30, "a new worker")
    assert bus.children("ship_journal") == [shipping]
    wait_until(lambda: bus.status("/readyz") == 200, 30, "the new worker")
    bus.process.kill()
    bus.process.wait()
    wait_until(lambda: bus.children("ship_journal") == [], 15, "the shipping's end")
    wait_until(lambda: bus.children("probe_upstreams") == [], 15, "the prober's end")


@pytest.mark.parametrize("command", ["ship_journal", "probe_upstreams"])
def test_a_child_is_started_again(lasting: Embedded, command: str) -> None:
    [child] = lasting.children(command)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: lasting.children(command) not in ([], [child]), 15, "a new child")


def test_a_reload_renews_the_children(lasting: Embedded) -> None:
    """They read secrets that are in files when they start."""
    [shipping], [prober] = lasting.children("ship_journal"), lasting.children("probe_upstreams")
    [worker] = lasting.children("mantra.wsgi:application")
    lasting.process.send_signal(signal.SIGHUP)
    wait_until(lambda: worker not in lasting.children("mantra.wsgi:application"), 40, "the reload")
    wait_until(lambda: lasting.children("ship_journal") not in ([], [shipping]), 15, "the new shipping")
    wait_until(lambda: lasting.children("probe_upstreams") not in ([], [prober]), 15, "the new prober")


@pytest.mark.parametrize("command", ["ship_journal", "probe_upstreams"])
def test_a_child_does_not_hold_the_port(lasting: Embedded, command: str) -> None:
    [child] = lasting.children(command)
    for table in ("tcp", "tcp6"):
        lines = Path(f"/proc/{child}/net/{table}").read_text().splitlines()[1:]
        inodes = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[1].endswith(f":{lasting.port:04X}")}
        assert not inodes & {
            os.readlink(link) for link in Path(f"/proc/{child}/fd").glob("[0-9]*") if link.is_symlink()
        }


# ---------------------------------------------------------------------------------------- worker


class Worker:
    """What the worker container runs, with a database and a journal of its own."""

    def __init__(self, var: Path) -> None:
        self.environment = environment(var)
        shutil.copy(migrated(), var / "mantra.sqlite3")
        self.log = var / "worker.log"
        permit("the worker")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(ending_with_us(self.command), cwd=ROOT, env=self.environment, stderr=log)

    @property
    def command(self) -> list[str]:
        """As the compose file has it."""
        _, *words = SERVICES["worker"]["command"]
        return [sys.executable, *words]

    def healthy(self) -> bool:
        _, _, *words = SERVICES["worker"]["healthcheck"]["test"]
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, capture_output=True, check=False
        )
        return done.returncode == 0

    def children(self) -> list[int]:
        return children(self.process.pid)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path / "var")
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait(30)


def _handles_sigterm(pid: int) -> bool:
    """Return True if a process has set a handler for SIGTERM, which would end it at once before."""
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_the_worker_runs_all_that_goes_on_beside_the_calls(worker: Worker) -> None:
    assert not worker.healthy()
    wait_until(worker.healthy, 60, "the worker's health")
    children = worker.children()
    assert len(children) == 2
    os.kill(children[0], signal.SIGKILL)
    wait_until(lambda: len(worker.children()) == 2 and children[0] not in worker.children(), 15, "a new child")
    children = worker.children()
    wait_until(lambda: all(map(_handles_sigterm, children)), 60, "their answer to signals")
    # As gunicorn's reload.
    before = set(children)
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(worker.children()) == 2 and not before & set(worker.children()), 15, "new children")
    children = worker.children()
    wait_until(lambda: all(map(_handles_sigterm, children)), 60, "their answer to signals")
    worker.process.terminate()
    assert worker.process.wait(15) == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert worker.log.read_text() == ""
    assert not worker.healthy()


def test_the_workers_children_end_with_it(worker: Worker) -> None:
    wait_until(worker.healthy, 60, "the worker's health")
    children = worker.children()
    worker.process.kill()
    worker.process.wait()
    wait_until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], 15, "the children's end")


def test_what_the_containers_run_is_in_the_image() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!deploy/")]
    said = COMPOSE + (ROOT / "Dockerfile").read_text()
    ran = {*re.findall(r"\bdeploy/\w[\w.]*\.py\b", said), "deploy/children.py", "deploy/server"}
    ran.add("deploy/verify_journal.py")  # everybody may fetch it
    assert set(kept) == ran


def test_gunicorn_writes_down_no_person(lasting: Embedded) -> None:
    for line in (b"GET /x?nik=3201019001010001 HTTP/9.9", b"GET /a b?nik=3201019001010001 HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", lasting.port)) as connection:
            connection.sendall(line + b"\r\nHost: x\r\n\r\n")
            assert read_response(connection)[0] in (400, 505)
    assert lasting.status("/rest/a/b/c.json?nik=3201019001010001") == 404
    wait_until(lambda: len(re.findall(r"request \w{32} was refused: \d+", lasting.log())) == 2, 20, "the log")
    log = lasting.log()
    assert "3201019001010001" not in log

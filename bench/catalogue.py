"""How long the catalogue's pages take with many operations: ``python -m bench.catalogue [OPERATIONS]``.

Makes a registry in SQLite and one in a PostgreSQL of its own, each with ten columns for every operation, and asks for
each page five times. Prints the machine's load, and for each page the best and the worst time, and the number of SQL
queries. Ends with 1 if a page takes longer than the target at its best.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

OPERATIONS, COLUMNS = 10_000, 10
#: Milliseconds that a page may take.
TARGET = 200
ROOT = Path(__file__).resolve().parent.parent
#: What is searched for: rare and frequent words, several words, and each of the other terms.
SEARCHES: dict[str, dict[str, str]] = {
    "first page": {},
    "rare word": {"q": "operasi77"},
    "frequent word": {"q": "penduduk"},
    "beginning of a word": {"q": "pendid"},
    "three words": {"q": "penduduk kecamatan bantuan"},
    "five words": {"q": "data jumlah penduduk tahun kecamatan"},
    "nothing": {"q": "qwerty"},
    "agency": {"agency": "instansi7"},
    "tag": {"tag": "sosial"},
    "column": {"column": "tanggal lahir"},
    "classification": {"classification": "open"},
    "format": {"format": "csv"},
    "all at once": {
        "q": "penduduk", "agency": "Instansi", "tag": "sosial", "column": "nama", "classification": "limited",
        "format": "json",
    },
    "last page": {"q": "data", "page": "25"},
}  # fmt: skip
_WORDS = tuple(
    """
    data jumlah daftar penduduk kecamatan desa bantuan sosial kesehatan pendidikan sekolah guru siswa puskesmas pasien
    pegawai jabatan anggaran belanja pajak kendaraan izin usaha koperasi pertanian ikan hutan jalan jembatan air listrik
    bencana cuaca gempa tahun bulan wilayah provinsi kabupaten kota nomor induk nama alamat tanggal lahir status
    """.split()  # noqa: SIM905
)


def fill(operations: int) -> None:
    """Fill an empty registry."""
    from registry.models import Agency, Field, Operation, Service

    chosen = random.Random(1)

    def text(words: int) -> str:
        return " ".join(chosen.choices(_WORDS, k=words))

    agencies = Agency.objects.bulk_create(Agency(code=f"instansi{n}", name=f"Instansi {n}") for n in range(60))
    services = Service.objects.bulk_create(
        Service(
            agency=agencies[n % 60], code=f"layanan{n}", title=text(3), description=text(60), tags="sosial, data",
            classification=chosen.choice(("open", "limited")),
        )
        for n in range(360)
    )  # fmt: skip
    rows = Operation.objects.bulk_create(
        Operation(
            service=services[n % 360], code=f"operasi{n}", title=text(4), description=text(120), kind="data",
            state="published", listing="public",
        )
        for n in range(operations)
    )  # fmt: skip
    Field.objects.bulk_create(
        (
            Field(operation=row, position=n, name=f"{'_'.join(chosen.choices(_WORDS, k=2))}{n}", description=text(8))
            for row in rows
            for n in range(COLUMNS)
        ),
        batch_size=2_000,
    )
    _statistics()


def _statistics() -> None:
    """Tell the database how the tables are filled, as it finds out by itself after a while."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def addresses() -> Iterator[tuple[str, str]]:
    """Yield the pages with their names."""
    for name, terms in SEARCHES.items():
        yield name, "/catalog/?" + urlencode(terms)
    yield "agency's page", "/catalog/instansi7/"
    yield "service's page", "/catalog/instansi7/layanan7/"


def measure() -> bool:
    """Print a line for each page. Return True if all are within the target."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client, within = Client(SERVER_NAME="localhost"), True
    print(f"{connection.vendor}, load {' '.join(f'{each:.1f}' for each in os.getloadavg())}")
    print(f"{'page':24} {'best ms':>8} {'worst ms':>8} {'SQL':>4}")
    for name, address in addresses():
        found = []
        for _turn in range(5):
            with CaptureQueriesContext(connection) as captured:
                began = time.perf_counter()
                response = client.get(address)
                found.append(1000 * (time.perf_counter() - began))
            if response.status_code != 200:
                raise RuntimeError(f"{response.status_code} for {address}")
        within &= min(found) <= TARGET
        late = "" if min(found) <= TARGET else "  too slow"
        print(f"{name:24} {min(found):8.0f} {max(found):8.0f} {len(captured):4}{late}", flush=True)
    return within


def _measured(environment: dict[str, str], operations: str) -> int:
    """Fill and measure a registry in a process of its own, and return its exit status."""
    inner = {**environment, "MANTRA_BENCH_CATALOGUE": "1"}
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=inner, check=True)
    return subprocess.run([sys.executable, "-m", "bench.catalogue", operations], cwd=ROOT, env=inner).returncode


def main(arguments: list[str]) -> int:
    if os.environ.get("MANTRA_BENCH_CATALOGUE"):
        import django

        django.setup()
        fill(int(arguments[0]))
        return int(not measure())
    from tests.servers import process
    from tests.servers.postgresql import PostgreSQLServer
    from tests.servers.surroundings import environment

    operations, missed = (arguments or [str(OPERATIONS)])[0], 0
    process.permitted = True
    with tempfile.TemporaryDirectory() as folder:
        surroundings: dict[str, Any] = environment(Path(folder))
        missed |= _measured(surroundings, operations)
        server = PostgreSQLServer()
        try:
            url = f"postgres://{server.user}:{server.password}@127.0.0.1:{server.port}/{server.database}"
            missed |= _measured({**surroundings, "MANTRA_DATABASE_URL": url}, operations)
        finally:
            server.stop()
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

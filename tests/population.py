"""A register of invented people on a real PostgreSQL: three related tables with comments, as a clerk finds them."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from tests.servers.postgresql import PostgreSQLServer

DATABASE, PEOPLE = "siak", 40

_TABLES = """
    CREATE TABLE kecamatan (kode char(6) PRIMARY KEY, nama text NOT NULL);
    COMMENT ON TABLE kecamatan IS 'Kecamatan';
    CREATE TABLE keluarga (
        no_kk char(16) PRIMARY KEY, alamat text NOT NULL, kode_kecamatan char(6) NOT NULL REFERENCES kecamatan
    );
    COMMENT ON TABLE keluarga IS 'Kartu keluarga';
    COMMENT ON COLUMN keluarga.alamat IS 'Alamat menurut kartu keluarga';
    CREATE TABLE penduduk (
        nik char(16) PRIMARY KEY, nama_lengkap text NOT NULL, tanggal_lahir date NOT NULL, kelamin char(1),
        no_kk char(16) NOT NULL REFERENCES keluarga, pekerjaan text
    );
    COMMENT ON TABLE penduduk IS 'Penduduk';
    COMMENT ON COLUMN penduduk.nik IS 'Nomor Induk Kependudukan';
    CREATE TABLE catatan_petugas (id serial PRIMARY KEY, isi text);
    INSERT INTO kecamatan SELECT lpad((327300 + n)::text, 6, '0'), 'Kecamatan ' || n FROM generate_series(1, 5) AS n;
    INSERT INTO keluarga SELECT '32730101012' || lpad(n::text, 5, '0'), 'Jalan Melati ' || n,
        lpad((327301 + n % 5)::text, 6, '0') FROM generate_series(1, 20) AS n;
    INSERT INTO penduduk SELECT '327301010190' || lpad(n::text, 4, '0'), 'Warga Contoh ' || n, date '1990-01-01' + n,
        CASE n % 2 WHEN 0 THEN 'L' ELSE 'P' END, '32730101012' || lpad((1 + n % 20)::text, 5, '0'),
        CASE n % 3 WHEN 0 THEN 'Petani' WHEN 1 THEN 'Guru' END
        FROM generate_series(1, {people}) AS n;
    ANALYZE;
"""


def nik(number: int) -> str:
    """The NIK of one of the people, from 1 on."""
    return f"327301010190{number:04d}"


def make(server: PostgreSQLServer, database: str = DATABASE) -> dict[str, Any]:
    """Make the database, if it is not there, and return the settings of a source for it."""
    with closing(server.superuser()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {database} OWNER {server.user}")
    with closing(server.superuser(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT to_regclass('penduduk')")
        if cursor.fetchone() == (None,):
            cursor.execute(_TABLES.format(people=PEOPLE))
            cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {server.user}")
    return server.source(database=database)

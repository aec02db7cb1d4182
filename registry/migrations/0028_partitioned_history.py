"""On PostgreSQL the call history becomes a table with a partition for each month.

Records from before stay in one partition: those older than a history's days are deleted from it as before.
"""

from datetime import UTC, datetime, timedelta

from django.db import migrations

TABLE = "registry_callrecord"
#: The table's indexes and constraints of the models, which the new table gets under the same names.
INDEXES = """
    CREATE INDEX call_time ON {table} (started_at DESC);
    CREATE INDEX call_agency ON {table} (agency, started_at DESC);
    CREATE INDEX call_consumer ON {table} (consumer_agency, started_at DESC);
    CREATE INDEX call_outcome ON {table} (outcome, started_at DESC);
    CREATE INDEX call_duration ON {table} (duration_us DESC);
    CREATE INDEX call_operation ON {table} (operation_ref, started_at DESC);
    CREATE INDEX call_open ON {table} (segment) WHERE outcome = 0;
    ALTER TABLE {table} ADD CONSTRAINT call_once UNIQUE (request_id, started_at);
"""
NAMES = ("call_time", "call_agency", "call_consumer", "call_outcome", "call_duration", "call_operation", "call_open")


def next_month(moment):
    month = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (month + timedelta(days=32)).replace(day=1)


def divide(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    execute = schema_editor.execute
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"SELECT max(started_at) FROM {TABLE}")
        newest = cursor.fetchone()[0]
    end = next_month(newest or datetime.now(UTC))
    # The name says where it ends (registry/journal/partitions.py).
    old = f"{TABLE}_to_y{end:%Y}m{end:%m}"
    execute(f"ALTER TABLE {TABLE} RENAME TO {old}")
    for name in NAMES:
        execute(f"ALTER INDEX {name} RENAME TO {name}_before")
    execute(f"ALTER TABLE {old} RENAME CONSTRAINT call_once TO call_once_before")
    execute(f"CREATE TABLE {TABLE} (LIKE {old} INCLUDING DEFAULTS INCLUDING IDENTITY) PARTITION BY RANGE (started_at)")
    execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT call_pk PRIMARY KEY (id, started_at)")
    execute(INDEXES.format(table=TABLE))
    execute(f"CREATE TABLE {TABLE}_other PARTITION OF {TABLE} DEFAULT")
    if newest is None:
        execute(f"DROP TABLE {old}")
    else:
        _attach(schema_editor, old, end)


def _attach(schema_editor, old, end):
    """Make the records from before a partition, and let the ids go on after theirs."""
    schema_editor.execute(f"ALTER TABLE {old} ALTER COLUMN id DROP IDENTITY IF EXISTS")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'", [old])
        schema_editor.execute(f'ALTER TABLE {old} DROP CONSTRAINT "{cursor.fetchone()[0]}"')
        # The new indexes adopt equal ones of the partition; only that of the ids is built.
        cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO (%s)", [end])
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('{TABLE}', 'id'), (SELECT max(id) FROM {old}))")


def unite(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    execute = schema_editor.execute
    divided = f"{TABLE}_divided"
    execute(f"ALTER TABLE {TABLE} RENAME TO {divided}")
    for name in NAMES:
        execute(f"ALTER INDEX {name} RENAME TO {name}_divided")
    execute(f"ALTER TABLE {divided} RENAME CONSTRAINT call_once TO call_once_divided")
    execute(f"CREATE TABLE {TABLE} (LIKE {divided} INCLUDING DEFAULTS INCLUDING IDENTITY)")
    execute(f"INSERT INTO {TABLE} OVERRIDING SYSTEM VALUE SELECT * FROM {divided}")
    execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)")
    execute(INDEXES.format(table=TABLE))
    execute(f"DROP TABLE {divided}")
    execute(
        f"SELECT setval(pg_get_serial_sequence('{TABLE}', 'id'), coalesce((SELECT max(id) FROM {TABLE}), 0) + 1, false)"
    )


class Migration(migrations.Migration):
    dependencies = [("registry", "0027_rollups")]

    operations = [migrations.RunPython(divide, unite)]

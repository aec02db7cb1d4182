"""The words of the catalogue in PostgreSQL, with indexes. Other databases search without."""

from typing import Any

from django.db import migrations

#: Words as they are, and their stems. Names such as nama_lengkap are words that are joined.
FUNCTIONS = (
    """
    CREATE FUNCTION catalogue_words(text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT to_tsvector('pg_catalog.simple', regexp_replace($1, '[^[:alnum:]]+', ' ', 'g'))
            || to_tsvector('pg_catalog.indonesian', regexp_replace($1, '[^[:alnum:]]+', ' ', 'g'))
    $$
    """,
    """
    CREATE FUNCTION catalogue_query(text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT to_tsquery('pg_catalog.simple', $1 || ':*') || to_tsquery('pg_catalog.indonesian', $1 || ':*')
    $$
    """,
)
#: Table → its columns that are searched, as mantra/catalogue/search.py names them.
COLUMNS = {
    "registry_agency": ("code", "name"),
    "registry_service": ("code", "title", "tags", "description"),
    "registry_operation": ("code", "title", "description"),
    "registry_field": ("name", "description"),
}


def create(apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    for function in FUNCTIONS:
        editor.execute(function)
    for table, columns in COLUMNS.items():
        text = " || ' ' || ".join(columns)
        editor.execute(f"CREATE INDEX {table}_words ON {table} USING gin (catalogue_words({text}))")


def drop(apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    for table in COLUMNS:
        editor.execute(f"DROP INDEX {table}_words")
    editor.execute("DROP FUNCTION catalogue_words(text)")
    editor.execute("DROP FUNCTION catalogue_query(text)")


class Migration(migrations.Migration):
    dependencies = [("registry", "0017_notifications")]
    operations = [migrations.RunPython(create, drop)]

"""Migrations: none missing, one line of them in each room, and every one named."""

from __future__ import annotations

import re

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

OURS = ("registry", "dataservices", "proxyservices")


@pytest.mark.django_db
def test_none_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("room", OURS)
def test_they_are_linear_and_named(room: str) -> None:
    loader = MigrationLoader(None)
    assert len(loader.graph.leaf_nodes(room)) == 1
    for (app, name), migration in loader.disk_migrations.items():
        if app == room:
            assert not re.search(r"_auto_\d", name)
            assert sum(parent[0] == room for parent in migration.dependencies) <= 1


@pytest.mark.django_db
def test_the_book_works_on_this_database() -> None:
    assert set(OURS) <= {table.split("_")[0] for table in connection.introspection.table_names()}

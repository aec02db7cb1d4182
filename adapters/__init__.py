"""The drivers: one file for each kind of database, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.base import Adapter

ADAPTERS = {
    "sqlite": "adapters.sqlite.SQLite",
    "postgresql": "adapters.postgresql.PostgreSQL",
    "mysql": "adapters.mysql.MySQL",
    "sqlserver": "adapters.sqlserver.SQLServer",
    "sybase": "adapters.sybase.Sybase",
    "oracle": "adapters.oracle.Oracle",
    "dbase": "adapters.dbase.DBase",
}


def adapter_class(engine: str) -> type[Adapter]:
    """The adapter of an engine. Raises KeyError for an engine that the bus does not know."""
    module, _, name = ADAPTERS[engine].rpartition(".")
    found: type[Adapter] = getattr(importlib.import_module(module), name)
    return found


def missing_driver(engine: str) -> str:
    """What to do to get an engine's driver, or "" when the driver is here and imports."""
    adapter = adapter_class(engine)
    try:
        importlib.import_module(adapter.driver)
    except ImportError:
        return adapter.install
    return ""

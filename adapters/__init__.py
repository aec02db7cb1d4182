"""The drivers: a module or package for each engine, imported on first use."""

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
    """Return the adapter of an engine. Raises KeyError for an unknown engine."""
    module, _, name = ADAPTERS[engine].rpartition(".")
    adapter: type[Adapter] = getattr(importlib.import_module(module), name)
    return adapter


def missing_driver(engine: str) -> str:
    """Return how to install an engine's driver, or "" if it can be imported."""
    adapter = adapter_class(engine)
    try:
        importlib.import_module(adapter.driver)
    except ImportError:
        return adapter.install
    return ""

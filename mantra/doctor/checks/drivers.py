"""The drivers of databases: those that a source needs must be there, with what they load."""

from __future__ import annotations

import importlib
from collections import Counter
from importlib import metadata

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from adapters import adapter_class, missing_driver
from dataservices.models import DataSource, engines
from mantra.health.findings import Finding

AREA = "drivers"
#: Module → the package that it comes from, where the names differ.
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary"}
#: The engines that need a driver of unixODBC too, and its name there.
_ODBC, _FREETDS = ("sqlserver", "sybase"), "FreeTDS"


def check() -> list[Finding]:
    """Return the state of each engine's driver. One that no source uses may be missing."""
    used = Counter(DataSource.objects.order_by().values_list("engine", flat=True))
    return [_driver(engine, str(label), used[engine]) for engine, label in engines()]


def _driver(engine: str, label: str, sources: int) -> Finding:
    missing = missing_driver(engine) or _missing_odbc(engine)
    if not missing:
        return Finding(AREA, label, "well", _version(adapter_class(engine).driver))
    if not sources:
        return Finding(AREA, label, "unknown", _("not installed; no source needs it"), missing)
    words = ngettext("not installed; %(number)d source needs it", "not installed; %(number)d sources need it", sources)
    return Finding(AREA, label, "ill", words % {"number": sources}, missing)


def _missing_odbc(engine: str) -> str:
    """Return how to install the driver that unixODBC loads, or "" if it is registered or not needed."""
    if engine not in _ODBC or _FREETDS in importlib.import_module("pyodbc").drivers():
        return ""
    return "apt-get install tdsodbc"


def _version(module: str) -> str:
    package = _PACKAGES.get(module, module)
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return module

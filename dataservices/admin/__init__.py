"""The pages of data services: sources and the operations over them."""

from __future__ import annotations

from dataservices.admin.operations import DataOperationAdmin
from dataservices.admin.sources import DataSourceAdmin

__all__ = ("DataOperationAdmin", "DataSourceAdmin")

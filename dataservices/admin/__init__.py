"""The pages of data services: sources and the operations over them."""

from __future__ import annotations

from dataservices.admin.operations import DataOperationAdmin
from dataservices.admin.sources import DataSourceAdmin
from dataservices.admin.uploads import UploadedTableAdmin

__all__ = ("DataOperationAdmin", "DataSourceAdmin", "UploadedTableAdmin")

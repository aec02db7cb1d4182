"""Exports: what a user may see, as a file that the worker makes and only the user gets (docs/exports.md)."""

from registry.exports.jobs import ENDED, delete, may_download, start, view_of
from registry.exports.kinds import KINDS, ExportError, Kind, Work, kind_of

__all__ = ["ENDED", "KINDS", "ExportError", "Kind", "Work", "delete", "kind_of", "may_download", "start", "view_of"]

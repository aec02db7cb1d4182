"""Files of agreements: what is accepted, by its content, and where it is stored."""

from registry.agreements.inspection import Refused, media_type_of
from registry.agreements.storage import open_file, own_upload, store, sweep

__all__ = ["Refused", "media_type_of", "open_file", "own_upload", "store", "sweep"]

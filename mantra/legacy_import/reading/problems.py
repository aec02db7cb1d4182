"""Why an old database cannot be read: sentences for the user."""

from __future__ import annotations


class UnreadableDatabase(Exception):
    """A dump or a server is no database of MANTRA 1.99x, or cannot be read to its end.

    The message says where and what to do, in the active language. It has no text of a driver and no value.
    """

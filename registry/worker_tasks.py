"""The tasks of the worker, each in a thread of its own, that belong to packages above this one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from django.utils.module_loading import import_string


class Task(Protocol):
    """Work that goes on until it is stopped."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. Raises nothing."""
        ...


#: The name of a task → the dotted path of what makes it, imported by the worker only. Each package adds its own when
#: its app is ready.
TASKS: dict[str, str] = {}


def made() -> Iterator[tuple[str, Task]]:
    """Yield each task with its name."""
    for name, path in TASKS.items():
        yield name, import_string(path)()

"""A real Redis (or Valkey), started by the tests, holding nothing on disk."""

from __future__ import annotations

from tests.servers.process import Server, find_binary


class RedisServer(Server):
    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def command(self) -> list[str]:
        try:
            program = find_binary("redis-server")
        except FileNotFoundError:
            program = find_binary("valkey-server")
        return [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

"""A SOAP service as agencies have them: PHP's own SoapServer, its WSDL at ?wsdl and a schema beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers.process import Server, find_binary

_FILES = Path(__file__).parent / "soap"


class SoapService(Server):
    name = "php"

    def __init__(self) -> None:
        super().__init__()
        for file in _FILES.iterdir():
            shutil.copy(file, self.folder / file.name)
        self.start()

    def command(self) -> list[str]:
        return [find_binary("php"), "-S", f"127.0.0.1:{self.port}", str(self.folder / "server.php")]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/warga"

    @property
    def encoded_url(self) -> str:
        """The address of the service that speaks SOAP 1.1's encoding."""
        return f"http://127.0.0.1:{self.port}/encoded"

    @property
    def rpc_url(self) -> str:
        """A second service, with rpc/encoded messages as older PHP libraries write them."""
        return f"http://127.0.0.1:{self.port}/rpc"

    @property
    def wsdl(self) -> str:
        return (self.folder / "warga.wsdl").read_text()

    @property
    def schema(self) -> str:
        return (self.folder / "tipe.xsd").read_text()

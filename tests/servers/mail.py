"""A mail server for tests: it keeps what it takes, and refuses, delays and hangs up as it is told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """``reply``: step (mail, rcpt or data) → what is said instead of yes, for all addresses or, by address, for one."""

    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    reply: dict[str, str] = field(default_factory=dict)
    sessions: int = 0
    controller: Any = None

    @property
    def port(self) -> int:
        port: int = self.controller.port
        return port

    def stop(self) -> None:
        self.controller.stop()

    def refuse(self, step: str, reply: str) -> None:
        self.reply[step] = reply

    async def _answer(self, step: str, address: str = "") -> str:
        found = self.reply.get(address) or self.reply.get(step, "")
        if found == "slow":
            await asyncio.Event().wait()
        return found

    async def handle_EHLO(self, server: Any, session: Session, _envelope: Envelope, name: str, responses: Any) -> Any:
        self.sessions += 1
        session.host_name = name
        return responses

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.mail_from = address
        return await self._answer("mail") or "250 OK"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if refused := await self._answer("rcpt", address):
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if refused := await self._answer("data"):
            return refused
        self.envelopes.append(envelope)
        content = envelope.original_content
        assert content is not None
        made = message_from_bytes(content, policy=default)
        assert isinstance(made, EmailMessage)
        self.taken.append(made)
        return "250 OK"


def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, auth_data: Any) -> AuthResult:
    known = isinstance(auth_data, LoginPassword) and auth_data.password == b"benar"
    return AuthResult(success=known, handled=False)  # the server says no itself


def start(**options: Any) -> MailServer:
    """Start a mail server on a free port."""
    made = MailServer()
    made.controller = _Controller(made, hostname="127.0.0.1", port=0, **options)
    made.controller.start()
    return made


class _Controller(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # the kernel's choice
        super()._trigger_server()

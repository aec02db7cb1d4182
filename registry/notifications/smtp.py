"""The session with the mail server. Each step has a deadline, and its failure one of the words in problems.py."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import parseaddr
from typing import Any

from django.conf import settings

from registry.notifications.problems import MailError

#: The most seconds of connecting and signing in, and of a message, as multiples of settings.SMTP_SECONDS.
CONNECTING, MESSAGE = 3, 3


def is_configured() -> bool:
    """Return True if the bus has a mail server. Without one, people are notified in the admin only."""
    return bool(settings.SMTP_HOST)


class Session:
    """A connection to the mail server of the settings. A context manager; entering it and send() raise MailError."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None
        self._handle: socket.socket | None = None

    def __enter__(self) -> Session:
        if not is_configured():
            raise MailError("not-configured")
        try:
            with self._limit(CONNECTING), _named("greeting"):
                self._connect()
        except MailError:
            self._close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._smtp is not None:
            with self._limit(1), suppress(OSError):
                self._smtp.quit()
        self._close()

    def _close(self) -> None:
        for each in (self._smtp, self._handle):
            if each is not None:
                each.close()

    def _connect(self) -> None:
        made = _Tls if settings.SMTP_TLS == "tls" else _Plain
        self._smtp = smtp = made(self)
        smtp.connect(settings.SMTP_HOST, settings.SMTP_PORT)
        _expect(smtp.ehlo(), "greeting", "busy")
        if settings.SMTP_TLS == "starttls":
            if not smtp.has_extn("starttls"):
                raise MailError("no-starttls")
            smtp.starttls(context=_context())
            _expect(smtp.ehlo(), "greeting", "busy")
        if settings.SMTP_USER:
            self._sign_in(smtp)

    def _sign_in(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.login(settings.SMTP_USER, settings.SMTP_PASSWORD)
        except smtplib.SMTPAuthenticationError as error:
            raise MailError("sign-in" if error.smtp_code >= 500 else "busy", error.smtp_code) from None
        except UnicodeEncodeError:
            raise MailError("sign-in") from None
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPException:
            raise MailError("no-sign-in") from None

    def send(self, message: EmailMessage, address: str) -> None:
        """Send a message to one address. Raises MailError."""
        assert self._smtp is not None
        with self._limit(MESSAGE), _named("closed"):
            _expect(self._smtp.mail(parseaddr(settings.SMTP_FROM)[1]), "sender", "busy")
            try:
                _expect(self._smtp.rcpt(address), "recipient", "recipient-later")
                _expect(self._data(message), "content", "content-later")
            except MailError:
                with suppress(OSError):  # SMTPException is one
                    self._smtp.rset()
                raise

    def _data(self, message: EmailMessage) -> tuple[int, bytes]:
        assert self._smtp is not None
        try:
            return self._smtp.data(message.as_bytes(policy=POLICY))
        except smtplib.SMTPDataError as error:
            return error.smtp_code, b""

    def adopt(self, connected: socket.socket) -> None:
        """Keep a handle of the connection, which stays valid when TLS takes over the socket itself."""
        self._handle = connected.dup()

    @contextmanager
    def _limit(self, times: int) -> Iterator[None]:
        """Shut the connection when a step takes too long: a time limit of each read would not end a slow trickle."""
        expired = threading.Event()

        def shut() -> None:
            expired.set()
            if self._handle is not None:
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(settings.SMTP_SECONDS * times, shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except MailError as error:
            raise MailError("slow") if expired.is_set() else error from None
        finally:
            timer.cancel()


class _Plain(smtplib.SMTP):
    """Connects with the settings' time limit and gives its session a handle."""

    def __init__(self, session: Session) -> None:
        super().__init__(timeout=settings.SMTP_SECONDS, local_hostname=socket.gethostname() or "localhost")
        self._session = session
        self._host = settings.SMTP_HOST  # the name that the certificate must have

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        try:
            made = socket.create_connection((host, port), timeout)
        except TimeoutError:
            raise MailError("unreachable") from None
        self._session.adopt(made)
        return made


class _Tls(_Plain):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _context().wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


def _context() -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.SMTP_CA_FILE or None)
    except OSError:  # not found, or no PEM
        raise MailError("ca-file") from None


def _expect(reply: tuple[int, Any], refused: str, later: str) -> None:
    """Raise MailError unless a reply is one of success."""
    code = reply[0]
    if code == 421:  # the server is about to close the connection, whatever the step
        raise MailError("busy", code)
    if not 200 <= code < 300:
        raise MailError(refused if code >= 500 else later, code)


@contextmanager
def _named(step: str) -> Iterator[None]:
    """Turn the errors of sockets, TLS and SMTP into MailError."""
    try:
        yield
    except MailError:
        raise
    except ssl.SSLCertVerificationError:
        raise MailError("certificate") from None
    except ssl.SSLError:
        raise MailError("tls") from None
    except socket.gaierror:
        raise MailError("dns") from None
    except ConnectionRefusedError:
        raise MailError("refused") from None
    except TimeoutError:
        raise MailError("slow") from None
    except smtplib.SMTPConnectError as error:
        raise MailError("greeting" if error.smtp_code >= 500 else "busy", error.smtp_code) from None
    except smtplib.SMTPServerDisconnected as error:  # for smtplib, a time limit is a connection that was closed
        raise MailError("slow" if isinstance(error.__context__, TimeoutError) else "closed") from None
    except smtplib.SMTPException:
        raise MailError(step) from None
    except ConnectionError:
        raise MailError("closed") from None
    except OSError:
        raise MailError("unreachable") from None

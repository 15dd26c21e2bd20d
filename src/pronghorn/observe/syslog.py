"""Records to syslog (RFC 3164), without ever waiting for it."""

import contextlib
import errno
import logging
import os
import select
import socket
import sys
import threading
import time
from typing import Any

from pronghorn.errors import SettingsError
from pronghorn.options.log_targets import FACILITIES, parse_syslog

SEVERITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

AGAIN = 1.0
"""Seconds between two attempts to connect."""

TOLD = 60.0
"""Seconds between two words about messages that are lost."""

LONGEST = 8192
"""Octets of a message: what rsyslog takes unless it is told otherwise. The rest is cut."""

FULL = "it takes no more at present"

HANDSHAKE = 0.1
"""Seconds for which a connection that is being made is waited for, once each: else it would lose its first message."""


class SyslogHandler(logging.Handler):
    """Sends records to syslog. A message that it does not take at once is lost, and standard error hears of it.

    Over UDP and datagram sockets a message is a datagram; over TCP it ends with a line feed (RFC 6587 section 3.4.2),
    and those within it are written `#012` as rsyslog does; over a stream socket of this machine it ends with NUL, as
    syslog(3) has it.

    Arguments:
        address: as the setting `syslog_addr`.
        facility: one of FACILITIES.

    Raises:
        SettingsError: the host cannot be looked up.
    """

    def __init__(self, address: str, facility: str) -> None:
        super().__init__()
        self.address = address
        self.lost = 0
        self._facility = FACILITIES[facility]
        self._target = parse_syslog(address)
        self._places = self._find()
        self._socket: socket.socket | None = None
        self._stream = False
        self._owner = 0
        self._again_at = 0.0
        self._told_at = -TOLD
        self._sending = threading.RLock()

    def _find(self) -> list[tuple[int, int, Any]]:
        """Family, type and name of each socket that may be there. Looked up once: later it could take seconds."""
        target = self._target
        if target.path:
            kinds = {None: (socket.SOCK_DGRAM, socket.SOCK_STREAM), False: (socket.SOCK_DGRAM,)}
            return [(socket.AF_UNIX, kind, target.path) for kind in kinds.get(target.stream, (socket.SOCK_STREAM,))]
        kind = socket.SOCK_STREAM if target.stream else socket.SOCK_DGRAM
        try:
            found = socket.getaddrinfo(target.host, target.port, type=kind)
        except (OSError, UnicodeError) as error:
            raise SettingsError(
                f"syslog_addr: {self.address!r} cannot be looked up ({error}); name a host that this machine knows"
            ) from error
        return [(family, kind, name) for family, _, _, _, name in found]

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record."""
        try:
            message = self.format(record).encode(errors="backslashreplace")
        except Exception as error:  # noqa: BLE001 - the text is the application's; a log call must not raise
            message = f"{record.msg!r} with {record.args!r} ({type(error).__name__}: {error})".encode(errors="replace")
        severity = SEVERITIES.get(record.levelno, 5)
        data = b"<%d>%b" % (self._facility << 3 | severity, message[:LONGEST])
        with self._sending:
            reason = self._send(data)
            if reason:
                self._lose(reason)

    def close(self) -> None:
        """Gives the socket back."""
        self._forget()
        super().close()

    def _send(self, data: bytes) -> str:
        """Sends one message; why it could not, or nothing."""
        if self._owner != os.getpid():
            # A stream that two processes write to would mix their messages.
            self._forget()
            self._owner, self._again_at = os.getpid(), 0.0
        if self._socket is None:
            reason = self._connect()
            if self._socket is None:
                return reason
        if self._stream:
            data = data.replace(b"\n", b"#012") + b"\n" if self._socket.family != socket.AF_UNIX else data + b"\0"
        try:
            sent = self._socket.send(data, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return FULL
        except OSError as error:
            self._forget()
            return error.strerror or str(error)
        if sent < len(data):
            self._forget()  # The rest would begin in the middle of a message.
            return FULL
        return ""

    def _connect(self) -> str:
        """Tries each place; why none could be connected to."""
        now = time.monotonic()
        if now < self._again_at:
            return "nobody listens"
        self._again_at = now + AGAIN
        reason = ""
        for family, kind, name in self._places:
            sock = socket.socket(family, kind)
            sock.settimeout(0)
            code = sock.connect_ex(name)
            if code == errno.EINPROGRESS:
                _wait_writable(sock)
                code = 0
            if code == 0:
                self._socket, self._stream = sock, kind == socket.SOCK_STREAM
                return ""
            reason = os.strerror(code)
            sock.close()
        return reason

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _lose(self, reason: str) -> None:
        self.lost += 1
        now = time.monotonic()
        if now - self._told_at < TOLD:
            return
        self._told_at = now
        with contextlib.suppress(OSError, ValueError):
            print(f"syslog at {self.address}: messages are lost ({reason}), {self.lost} so far", file=sys.stderr)


def _wait_writable(sock: socket.socket) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    poll.poll(HANDSHAKE * 1000)

"""Both logs to syslog, over every sort of socket there is for it, and that it cannot hold anything up."""

import contextlib
import logging
import re
import socket
import threading
import time

import pytest
from tests.support.process import Server, run
from tests.support.raw import Client, wait_for

from pronghorn.observe.syslog import SyslogHandler

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken")
    start_response("200 OK", [])
    return [b"hello"]
"""


class Syslog:
    """Listens for messages at an address of some sort; `messages` are those it has heard."""

    def __init__(self, place, kind):
        family = socket.AF_UNIX if kind.startswith("unix") else socket.AF_INET
        self.stream = kind in {"tcp", "unix#stream", "unix stream"}
        self.socket = socket.socket(family, socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM)
        self.socket.bind(str(place / "log.sock") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        marker = kind.removeprefix("unix") if "#" in kind else ""
        self.address = (
            f"unix://{place}/log.sock{marker}"
            if family == socket.AF_UNIX
            else f"{kind}://127.0.0.1:{self.socket.getsockname()[1]}"
        )
        self.messages = []
        if self.stream:
            self.socket.listen()
        self.thread = threading.Thread(target=self.accept if self.stream else self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.messages.append(data.decode())

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self.read, args=(client,), daemon=True).start()

    def read(self, client):
        end = b"\0" if client.family == socket.AF_UNIX else b"\n"
        data = b""
        with client:
            while piece := client.recv(65536):
                *whole, data = (data + piece).split(end)
                self.messages += [message.decode() for message in whole]

    def said(self, pattern):
        said = lambda: any(re.fullmatch(pattern, one, re.DOTALL) for one in self.messages)  # noqa: E731
        try:
            wait_for(said, pattern)
        except AssertionError:
            raise AssertionError(f"{pattern} in {self.messages}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("kind", ["udp", "tcp", "unix", "unix#dgram", "unix stream", "unix#stream"])
def test_both_logs(place, kind):
    with Syslog(place, kind) as syslog:
        more = ("--log-syslog", "--log-syslog-to", syslog.address, "--log-syslog-facility", "local3")
        with Server(place, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
            (pid,) = server.ready(1).workers()
            # local3 is 19; INFO is severity 6, ERROR 3 (RFC 3164 section 4.1.1).
            syslog.said(rf"<{19 * 8 + 6}>gunicorn\.app\.app\.error: \[{server.pid}\] .*is ready.*")
            client.get("/x", "User-Agent: me")
            access = r'127\.0\.0\.1 - - \[.+\] "GET /x HTTP/1\.1" 200 5 "-" "me"'
            syslog.said(rf"<{19 * 8 + 6}>gunicorn\.app\.app\.access: \[{pid}\] {access}")
            client.get("/error")
            between = "#012" if kind == "tcp" else "\n"
            error = rf"Error handling request GET /error{between}Traceback.*ValueError: broken"
            syslog.said(rf"<{19 * 8 + 3}>gunicorn\.app\.app\.error: \[{pid}\] {error}")
            server.said("Error handling request GET /error")  # and in the error log besides


def test_a_prefix_and_no_access_log(place):
    with Syslog(place, "udp") as syslog:
        more = ("--log-syslog", "--log-syslog-to", syslog.address, "--log-syslog-prefix", "shop")
        more += ("--disable-redirect-access-to-syslog", "--access-logfile", "access.log")
        with Server(place, "--workers", "1", *more, "app:app") as server:
            server.get()
            wait_for((place / "access.log").read_text, "a line")
            syslog.said(r"<14>gunicorn\.shop\.error: \[\d+\] .*is ready.*")
        assert not any("access" in message for message in syslog.messages)


def test_one_that_is_not_there_holds_nothing_up(place):
    address = f"unix://{place}/log.sock"
    with Server(place, "--workers", "1", "--log-syslog", "--log-syslog-to", address, "app:app") as server:
        server.said(rf"syslog at {address}: messages are lost \(No such file or directory\)")
        assert server.get() == (200, "hello")
        with Syslog(place, "unix") as syslog:
            wait_for(lambda: server.get() and syslog.messages, "messages, now that somebody listens")


@pytest.mark.parametrize("kind", ["tcp", "unix#stream"])
def test_one_that_reads_nothing_holds_nothing_up(place, kind):
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as deaf:
        deaf.bind(("127.0.0.1", 0) if kind == "tcp" else f"{place}/deaf")
        deaf.listen(0)
        address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}" if kind == "tcp" else f"unix://{place}/deaf#stream"
        handler = SyslogHandler(address, "user")
        begun = time.monotonic()
        for _ in range(2000):
            handler.handle(logging.LogRecord("x", logging.INFO, __file__, 1, "y" * 8000, None, None))
        assert time.monotonic() - begun < 10
        assert handler.lost > 0
        handler.close()


def test_a_host_nobody_knows_is_one_clear_line(place):
    result = run(
        place, "--log-syslog", "--log-syslog-to", "udp://no.such.host.invalid", "--bind", "127.0.0.1:0", "app:app"
    )
    assert result.returncode == 2
    assert "syslog_addr: 'udp://no.such.host.invalid' cannot be looked up" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("address", ["localhost:514", "udp://x:0", "unix://", "unix:///dev/log#seqpacket", "http://x"])
def test_what_is_no_address(place, address):
    result = run(place, "--check-config", "--log-syslog-to", address, "app:app")
    assert result.returncode == 2
    assert f"syslog_addr {address!r} is no address of syslog" in result.stderr

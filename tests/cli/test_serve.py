"""The command lines people type, each started as a server that answers a request."""

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

APPLICATION = """\
import threading

def app(environ, start_response):
    body = f"{environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def create_app(name="x"):
    return app
"""
DEADLINE = 20
LISTENING = re.compile(r"listening on http://(\S+)")
OURS = ("PRONGHORN_", "GUNICORN_", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS")


class Server:
    """A server process and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = ""

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        """Read what the server says until the pattern has matched so often."""
        deadline = time.monotonic() + DEADLINE
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stderr, selectors.EVENT_READ)
            while len(found := re.findall(pattern, self.said)) < times:
                assert selector.select(deadline - time.monotonic()), f"no {pattern!r} in: {self.said}"
                part = os.read(self.process.stderr.fileno(), 65536)
                assert part, f"ended without {pattern!r}: {self.said}"
                self.said += part.decode()
        return found

    def get(self, address: str | None = None) -> bytes:
        """The body of `/`."""
        address = address or self.wait_for(LISTENING.pattern)[0]
        with urllib.request.urlopen(f"http://{address}/", timeout=DEADLINE) as response:
            return response.read()

    def stop(self) -> int:
        """TERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def serving(cwd: Path, *arguments: str, **environ: str) -> Iterator[Server]:
    (cwd / "shop.py").write_text(APPLICATION)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    process = subprocess.Popen(
        arguments, cwd=cwd, env=inherited | environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        yield Server(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(DEADLINE)
        process.stderr.close()


SCRIPT = str(Path(sys.executable).parent / "pronghorn")
MODULE = [sys.executable, "-m", "pronghorn"]


@pytest.mark.parametrize(
    ("arguments", "workers", "threads"),
    [
        ([SCRIPT, "--workers", "3", "shop:app"], 3, 8),
        ([SCRIPT, "-w", "2", "--worker-class", "sync", "shop:app"], 2, 1),
        ([SCRIPT, "-w1", "-k", "gthread", "--threads", "4", "shop:app"], 1, 4),
        ([SCRIPT, "-w", "1", "--timeout", "30", "--access-logfile", "-", "--error-logfile", "-", "shop:app"], 1, 8),
        ([SCRIPT, "-w", "1", "--preload", "shop:create_app()"], 1, 8),
        ([*MODULE, "-w", "1", 'shop:create_app("y")'], 1, 8),
    ],
)
def test_command_lines(tmp_path, arguments, workers, threads):
    with serving(tmp_path, *arguments, "--bind", "127.0.0.1:0") as server:
        server.wait_for("is ready", times=workers)
        assert server.get() == f"{threads > 1} {workers > 1}".encode()
        assert server.stop() == 0


def test_the_environment_of_a_platform(tmp_path):
    with serving(tmp_path, SCRIPT, "shop:app", WEB_CONCURRENCY="2", PORT="0") as server:
        (address,) = server.wait_for(LISTENING.pattern)
        assert address.startswith("0.0.0.0:")
        server.wait_for("is ready", times=2)
        assert server.get(address.replace("0.0.0.0", "127.0.0.1")) == b"True True"
        assert server.stop() == 0


def test_run_from_a_program(tmp_path):
    program = "import pronghorn; raise SystemExit(pronghorn.run('shop:app', workers=1, threads=1, bind='127.0.0.1:0'))"
    with serving(tmp_path, sys.executable, "-c", program) as server:
        assert server.get() == b"False False"
        assert server.stop() == 0


def test_an_address_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with serving(tmp_path, SCRIPT, "-w", "1", "-b", address, "shop:app") as server:
            _, said = server.process.communicate(timeout=DEADLINE)
    assert server.process.returncode == 1
    assert said.count(b"\n") == 1
    assert address.encode() in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_an_application_that_cannot_be_found(tmp_path, preload):
    with serving(tmp_path, SCRIPT, "-w", "1", "-b", "127.0.0.1:0", *preload, "shop:ap") as server:
        _, said = server.process.communicate(timeout=DEADLINE)
    assert server.process.returncode == 3
    assert b"Traceback" not in said
    assert b"did you mean 'app'?" in said


def test_a_reload_takes_new_settings_and_refuses_wrong_ones(tmp_path):
    config = tmp_path / "pronghorn.toml"
    config.write_text("workers = 1\nthreads = 8\n")
    with serving(tmp_path, SCRIPT, "-b", "127.0.0.1:0", "shop:app") as server:
        server.wait_for("is ready")
        assert server.get() == b"True False"
        config.write_text("workers = 1\nthreads = 0\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(r"pronghorn\.toml:2: threads must be at least 1, not 0")
        assert server.get() == b"True False"
        config.write_text("workers = 1\nthreads = 1\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("has left")
        assert server.get() == b"False False"
        assert server.stop() == 0

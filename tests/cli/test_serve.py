"""The command lines people type, each started as a server that answers a request."""

import signal
import socket
import sys

import pytest
from tests.support.process import MODULE, SCRIPT, Server

APPLICATION = """\
import threading

def app(environ, start_response):
    body = f"{environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def create_app(name="x"):
    return app
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with an application."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "arguments", "workers", "threads"),
    [
        (SCRIPT, ["--workers", "3", "shop:app"], 3, 8),
        (SCRIPT, ["-w", "2", "--worker-class", "sync", "shop:app"], 2, 1),
        (SCRIPT, ["-w1", "-k", "gthread", "--threads", "4", "shop:app"], 1, 4),
        (SCRIPT, ["-w", "1", "--timeout", "30", "--access-logfile", "-", "--error-logfile", "-", "shop:app"], 1, 8),
        (SCRIPT, ["-w", "1", "--preload", "shop:create_app()"], 1, 8),
        (MODULE, ["-w", "1", 'shop:create_app("y")'], 1, 8),
    ],
)
def test_command_lines(shop, command, arguments, workers, threads):
    with Server(shop, *arguments, command=command) as server:
        server.ready(workers)
        assert server.get() == (200, f"{threads > 1} True")
        assert server.stop() == 0


def test_the_environment_of_a_platform(shop):
    with Server(shop, "shop:app", bind=(), WEB_CONCURRENCY="2", PORT="0") as server:
        server.ready(2)
        assert server.address[0] == "0.0.0.0"
        assert server.get() == (200, "True True")
        assert server.stop() == 0


def test_run_from_a_program(shop):
    program = "import pronghorn; raise SystemExit(pronghorn.run('shop:app', workers=1, threads=1, bind='127.0.0.1:0'))"
    with Server(shop, command=(sys.executable, "-c", program), bind=()) as server:
        assert server.get() == (200, "False True")
        assert server.stop() == 0


def test_an_address_in_use(shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Server(shop, "-w", "1", "shop:app", bind=(address,)) as server:
            assert server.wait() == 1
    assert len(server.lines) == 1
    assert address in server.text
    assert "Traceback" not in server.text


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_an_application_that_cannot_be_found(shop, preload):
    with Server(shop, "-w", "1", *preload, "shop:ap") as server:
        assert server.wait() == 3
    assert "Traceback" not in server.text
    assert "did you mean 'app'?" in server.text
    assert "starts shop:ap," in server.text
    assert "is served" not in server.text
    assert "reload:" not in server.text


def test_a_reload_takes_new_settings_and_refuses_wrong_ones(shop):
    config = shop / "pronghorn.toml"
    config.write_text("workers = 1\nthreads = 8\n")
    with Server(shop, "shop:app") as server:
        server.ready(1)
        assert server.get() == (200, "True True")
        config.write_text("workers = 1\nthreads = 0\n")
        server.signal(signal.SIGHUP)
        server.said(r"pronghorn\.toml:2: threads must be at least 1, not 0")
        assert server.get() == (200, "True True")
        config.write_text("workers = 1\nthreads = 1\n")
        server.signal(signal.SIGHUP)
        server.said("has left")
        assert server.get() == (200, "False True")
        assert server.stop() == 0

"""The logs of a running server: where they go, that they can be rotated, and that they cannot stop it."""

import os
import re
import signal
import subprocess

import pytest
from tests.support.process import MODULE, Server, environment
from tests.support.raw import Client, wait_for

APP = """
import sys

def app(environ, start_response):
    if environ["PATH_INFO"] == "/noise":
        environ["wsgi.errors"].write("x" * 2000 + "\\n")
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken application")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-It", "it")])
    return [b"hello"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_the_access_log_on_standard_output(folder):
    with Server(folder, "--workers", "1", "--access-logfile", "-", "app:app") as server, Client(server.url) as client:
        client.get("/a%20b?c", "User-Agent: test/1", 'Referer: "x"')
        client.send(b"BAD\r\n\r\n")
        client.read_response()
        wait_for(lambda: len(server.output.read_text().splitlines()) == 2, "two lines")
        first, second = server.output.read_text().splitlines()
    when = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    assert re.fullmatch(rf'127\.0\.0\.1 - - {when} "GET /a%20b\?c HTTP/1\.1" 200 5 "\\"x\\"" "test/1"', first)
    assert re.fullmatch(rf'127\.0\.0\.1 - - {when} "-" 400 \d+ "-" "-"', second)


def test_a_format_of_ones_own(folder):
    fmt = "%(m)s %(U)s %({x-mine}i)s %({x-it}o)s %(s)s"
    arguments = ("--workers", "1", "--access-logfile", "access.log", "--access-logformat", fmt, "app:app")
    with Server(folder, *arguments) as server, Client(server.url) as client:
        client.get("/path", "X-Mine: mine")
        wait_for((folder / "access.log").read_text, "a line")
    assert (folder / "access.log").read_text() == "GET /path mine it 200\n"


def test_usr1_opens_both_logs_anew(folder):
    arguments = ("--workers", "2", "--access-logfile", "access.log", "--error-logfile", "error.log", "app:app")
    with Server(folder, *arguments) as server:
        error = folder / "error.log"
        wait_for(lambda: error.exists() and "http://" in error.read_text(), "the banner")
        url = re.search(r"http://[\d.]+:\d+", error.read_text())[0]
        with Client(url) as client:
            client.get("/before")
            wait_for((folder / "access.log").read_text, "a line")
            (folder / "access.log").rename(folder / "access.log.1")
            error.rename(folder / "error.log.1")
            server.signal(signal.SIGUSR1)
            wait_for(error.exists, "a new error log")
            wait_for((folder / "access.log").exists, "a new access log")

            def logged():
                client.get("/after")
                client.get("/error")
                return "/after" in (folder / "access.log").read_text() and "broken" in error.read_text()

            wait_for(logged, "the worker to write to the new files")
    assert "/before" in (folder / "access.log.1").read_text()
    assert "/before" not in (folder / "access.log").read_text()


def test_a_worker_started_after_usr1_writes_to_the_new_access_log(folder):
    with Server(folder, "--workers", "1", "--access-logfile", "access.log", "app:app") as server:
        url, log = server.url, folder / "access.log"
        with Client(url) as client:
            client.get("/before")
        wait_for(log.read_text, "a line")
        (first,) = server.workers()
        log.rename(folder / "access.log.1")
        wait_for(lambda: server.signal(signal.SIGUSR1) or log.exists(), "a new access log")
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: server.workers() - {first}, "a new worker")
        with Client(url) as client:
            client.get("/after")
        logs = [folder / "access.log", folder / "access.log.1"]
        wait_for(lambda: "/after" in "".join(path.read_text() for path in logs), "the line of the new worker")
        assert "/after" in log.read_text()


def test_a_worker_that_boots_during_usr1_writes_to_the_new_access_log(folder):
    (folder / "slow.py").write_text(
        "import pathlib, time\n"
        "from app import app\n"
        "pathlib.Path('importing').touch()\n"
        "while not pathlib.Path('go').exists():\n"
        "    time.sleep(0.01)\n"
    )
    with Server(folder, "--workers", "1", "--access-logfile", "access.log", "slow:app") as server:
        log = folder / "access.log"
        wait_for((folder / "importing").exists, "the worker to import the application")
        log.rename(folder / "access.log.1")
        server.signal(signal.SIGUSR1)
        wait_for(log.exists, "a new access log")
        (folder / "go").touch()
        with Client(server.url) as client:
            client.get("/after")
        wait_for(log.read_text, "the worker's line in the new access log")
    assert (folder / "access.log.1").read_text() == ""


def test_relative_logs_are_opened_anew_where_they_were(folder):
    """The application of the arbiter itself and of its workers changes the current directory."""
    (folder / "elsewhere").mkdir()
    (folder / "wanderer.py").write_text("import os\nfrom app import app\nos.chdir('elsewhere')\n")
    logs = ("--access-logfile", "access.log", "--error-logfile", "error.log")
    error, access = folder / "error.log", folder / "access.log"
    with Server(folder, "--workers", "1", "--preload", *logs, "wanderer:app") as server:
        wait_for(lambda: error.exists() and "is ready" in error.read_text(), "the worker")
        url = re.search(r"http://[\d.]+:\d+", error.read_text())[0]
        error.rename(folder / "error.log.1")
        access.rename(folder / "access.log.1")
        server.signal(signal.SIGUSR1)
        wait_for(lambda: error.exists() and access.exists(), "new logs")
        with Client(url) as client:
            wait_for(lambda: client.get("/error") and "broken" in error.read_text(), "the worker's error log")
            wait_for(lambda: client.get("/") and access.read_text(), "the worker's access log")
    assert list((folder / "elsewhere").iterdir()) == []


def test_a_log_that_nobody_reads_stops_nothing(folder):
    """Standard output and error are pipes that fill up and are never read; the server answers all the same."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*MODULE, "--bind", "unix:socket", "--workers", "2", "--access-logfile", "-", "app:app"],
        cwd=folder, env=environment(), stdout=writer, stderr=writer, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    try:
        wait_for(lambda: process.poll() is not None or can_connect(folder / "socket"), "the socket")
        with Client(f"unix:{folder / 'socket'}") as client:
            for _ in range(500):  # a megabyte
                assert client.get("/noise", "User-Agent: " + "y" * 1000).body == b"hello"
    finally:
        process.terminate()
        status = process.wait(20)
        os.close(reader)
    assert status == 0


def can_connect(path):
    """Whether somebody listens there."""
    try:
        Client(f"unix:{path}").socket.close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


@pytest.mark.parametrize("flag", ["--error-logfile", "--access-logfile"])
def test_a_log_that_cannot_be_opened_is_one_clear_line(folder, flag):
    with Server(folder, flag, "missing/log", "app:app") as server:
        assert server.wait() not in {0, -9}
    assert "Traceback" not in server.text
    assert "missing/log" in server.text
    assert flag.split("-")[2] in server.text

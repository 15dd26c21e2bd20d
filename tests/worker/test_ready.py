"""`ready_path`: a worker that accepts connections only once the application says that it can be used."""

import re
import signal

import pytest
from tests.engine.test_connections import listener, url_of
from tests.support.process import Server
from tests.support.raw import Client, wait_for

from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.testing import serve_engine

APP = """
import os, pathlib, time
from wsgiref.validate import validator

ANSWER = pathlib.Path(__file__).with_name("answer")

def pieces():
    yield b"part"
    raise ValueError("broken behind the first part")

@validator
def app(environ, start_response):
    if environ["PATH_INFO"] != "/healthz":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    assert environ["QUERY_STRING"] in ("", "deep=1")
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_HOST"] == "localhost"
    answer = ANSWER.read_text()
    if answer == "hang":
        time.sleep(60)
    if answer == "raise":
        raise ValueError("no database")
    start_response("200 OK" if answer == "cut" else answer, [("Content-Type", "text/plain")])
    return pieces() if answer == "cut" else [b"x" * 1_000_000]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def answer(folder, text):
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "answer")


@pytest.mark.parametrize("good", ["200 OK", "204 No Content", "302 Found"])
def test_a_good_answer_makes_ready(folder, good):
    if good == "204 No Content":
        plain = APP.replace('[b"x" * 1_000_000]', "[]").replace('[("Content-Type", "text/plain")]', "[]")
        (folder / "app.py").write_text(plain)
    answer(folder, good)
    with Server(folder, "--workers", "2", "--ready-path", "/healthz?deep=1", "app:app") as server:
        server.ready(2)


def test_nothing_is_accepted_before_the_application_is_ready(folder):
    answer(folder, "503 Service Unavailable")
    arguments = ("--workers", "1", "--ready-path", "/healthz", "--access-logfile", "access.log", "app:app")
    with Server(folder, *arguments) as server, Client(server.url) as client:
        client.request()
        wait_for(lambda: (folder / "access.log").read_text().count(" 503 ") == 3, "three attempts")
        assert "is ready" not in server.text
        client.socket.settimeout(0.01)
        with pytest.raises(TimeoutError):
            client.read_response()
        answer(folder, "200 OK")
        server.ready(1)
        client.socket.settimeout(10)
        assert client.read_response().status == 200
        wait_for(lambda: '"GET /healthz HTTP/1.1" 200 ' in (folder / "access.log").read_text(), "the good attempt")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("503 Service Unavailable", "answered 503 Service Unavailable"),
        ("404 Not Found", "answered 404 Not Found"),
        ("raise", "answered 500 Internal Server Error"),
        ("cut", "was not answered to the end: see the error log"),
        ("hang", r"did not answer in time \(boot_timeout\)"),
    ],
)
def test_an_application_that_never_gets_ready(folder, said, why):
    answer(folder, said)
    arguments = ("--workers", "1", "--ready-path", "/healthz", "--boot-timeout", "1s", "app:app")
    with Server(folder, *arguments) as server:
        server.said(rf"worker 1 \(pid \d+\) did not get ready: ready_path /healthz {why}")
        assert "is ready after" not in server.text


def test_a_reload_waits_for_readiness(folder):
    answer(folder, "200 OK")
    arguments = ("--workers", "1", "--ready-path", "/healthz", "--boot-timeout", "2s", "app:app")
    with Server(folder, *arguments) as server:
        server.ready(1)
        old = server.workers()
        answer(folder, "500 Internal Server Error")
        server.signal(signal.SIGHUP)
        server.said(
            "reload failed: ready_path /healthz answered 500 Internal Server Error; generation 1 goes on serving"
        )
        assert server.get() == (200, str(*old))
        answer(folder, "200 OK")
        server.signal(signal.SIGHUP)
        server.said("generation 3 serves")
        wait_for(lambda: server.get()[1] != str(*old), "an answer of the new worker")


@pytest.mark.parametrize("wrong", ["healthz", "", "/health check", "/é", "/#", "http://localhost/", "/\n"])
def test_a_path_that_is_none(folder, wrong):
    with Server(folder, "--ready-path", wrong, "app:app") as server:
        assert server.wait() == 2
        assert re.search("(?i)--ready-path.* is not a path: write it as it stands in a request", server.text), (
            server.text
        )


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_a_fleet_that_is_about_to_stop_is_not_ready_and_serves_on():
    board, bound = Scoreboard(1), listener()
    with (
        serve_engine(app, [bound], slot=board.slot(0), ready_path="/healthz?deep=1", timeout=0) as engine,
        Client(url_of(bound)) as client,
    ):
        assert client.get("/healthz").status == 200
        board.serving = False
        refused = client.get("/healthz?x=y")
        assert (refused.status, refused.body) == (503, b"The server is about to stop.\n")
        assert client.get("/healthz", method="HEAD").status == 503
        assert client.get("/healthz/deep").status == 200
        assert client.get().body == b"hello"
        board.serving = True
        assert client.get("/healthz").status == 200
        wait_for(lambda: engine.requests_answered == 6, "all to be counted")


def test_without_the_setting_no_path_is_special():
    board, bound = Scoreboard(1), listener()
    board.serving = False
    with serve_engine(app, [bound], slot=board.slot(0)), Client(url_of(bound)) as client:
        assert client.get("/healthz").status == 200


def test_attempts_are_paced(folder):
    answer(folder, "503 Service Unavailable")
    arguments = ("--workers", "1", "--ready-path", "/healthz", "--boot-timeout", "3s", "--access-logfile", "a.log")
    with Server(folder, *arguments, "app:app") as server:
        server.said("did not get ready")
        lines = (folder / "a.log").read_text().splitlines()
        assert 2 <= len(lines) <= 6  # after 0, 0.1, 0.3, 0.7 and 1.5 seconds, or later

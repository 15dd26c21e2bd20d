"""Workers that hang, and those that crash: what is done about them, and what the log says they were doing."""

import os
import re
import signal

import pytest
from tests.support.process import Server, alive
from tests.support.raw import Client, wait_for

APP = """
import ctypes, os, time

GREEDY = ctypes.PyDLL(None)     # its calls keep the interpreter lock

def hold_the_lock():
    GREEDY.sleep(3600)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hold":
        hold_the_lock()
    if path == "/sleep":
        open("inside", "w").close()
        time.sleep(2)
    if path == "/crash":
        ctypes.string_at(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def url_in(text):
    return re.search(r"http://[\d.]+:\d+", text())[0]


@pytest.mark.parametrize("errorlog", ["-", "error.log"])
def test_a_call_that_holds_the_interpreter_lock(folder, errorlog):
    """The worker is stopped and replaced; the error log says which request it was in, and has all stacks."""
    arguments = ("--workers", "1", "--timeout", "1s", "--error-logfile", errorlog, "app:app")
    with Server(folder, *arguments) as server:
        text = (lambda: server.text) if errorlog == "-" else (folder / errorlog).read_text
        wait_for(lambda: (errorlog == "-" or (folder / errorlog).exists()) and "is ready" in text(), "the worker")
        (victim,) = server.workers()
        with Client(url_in(text)) as client:
            client.request("/hold?secret", "X-Request-ID: abc-1")
            wait_for(lambda: not alive(victim), "the end of the worker", 30)
        wait_for(lambda: text().count("is ready after") == 2, "its replacement")
        with Client(url_in(text)) as client:
            assert client.get().status == 200
        log = text()
    said = [
        rf"pid {victim}\) shows no life for \d+ s",
        rf"Worker {victim} was running GET /hold, \d+\.\d s \(client 127.0.0.1, request abc-1, thread pronghorn-\d\)",
        "Fatal Python error: Aborted",
        r'File ".*app\.py", line 7 in hold_the_lock',
        rf"pid {victim}\) was killed by SIGABRT",
    ]
    places = [re.search(line, log) for line in said]
    assert all(places), log
    assert [place.start() for place in places] == sorted(place.start() for place in places), log


def test_the_dump_goes_to_the_log_that_usr1_opened(folder):
    log = folder / "error.log"
    with Server(folder, "--workers", "1", "--error-logfile", "error.log", "app:app") as server:
        wait_for(lambda: log.exists() and "is ready" in log.read_text(), "the worker")
        log.rename(folder / "old.log")
        (victim,) = server.workers()
        wait_for(lambda: os.kill(victim, signal.SIGUSR1) or log.exists(), "a new log")
        os.kill(victim, signal.SIGABRT)
        wait_for(lambda: "Fatal Python error: Aborted" in log.read_text(), "the dump")
        wait_for(lambda: (folder / "old.log").read_text().count("is ready after") == 2, "a replacement")


def test_a_stopped_worker_is_killed_and_its_requests_are_named(folder):
    with Server(folder, "--workers", "1", "--timeout", "1s", "app:app") as server:
        server.ready(1)
        (victim,) = server.workers()
        with Client(server.url) as client:
            client.request("/sleep")
            wait_for((folder / "inside").exists, "the call")
            os.kill(victim, signal.SIGSTOP)
            wait_for(lambda: not alive(victim), "its end", 30)
        server.said(rf"Worker {victim} was running GET /sleep")
        server.said("did not leave in time: killed")
        server.ready(2)
        assert server.text.count("was running") == 1


def test_a_crash_names_the_request(folder):
    with Server(folder, "--workers", "1", "app:app") as server:
        server.ready(1)
        (victim,) = server.workers()
        with Client(server.url) as client:
            client.request("/crash")
            server.said(rf"Worker {victim} was running GET /crash, 0\.\d s")
            server.said("was killed by SIGSEGV")
        server.ready(2)


def test_an_idle_worker_with_a_short_timeout_is_left_alone(folder):
    with Server(folder, "--workers", "1", "--timeout", "0.2s", "app:app") as server:
        server.ready(1)
        (worker,) = server.workers()
        with Client(server.url) as client:
            assert client.get("/sleep").status == 504
        assert server.workers() == {worker}
        assert "no life" not in server.text

"""An application that forks in a greenlet: the child has copies of all of them, and none of those may serve."""

import time
from pathlib import Path

import pytest
from tests.gevent.test_idle import rests
from tests.support.process import Server
from tests.support.raw import Client, wait_for

APP = """
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = str(os.getpid()).encode()
    if path == "/sleep":
        time.sleep(0.5)
    elif path == "/fork" and os.fork() == 0:
        time.sleep(3)
        open("child.txt", "w").write(str(os.getpid()))
        os._exit(0)
    elif path == "/come-back" and os.fork() == 0:
        body = b"from the child"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def server(tmp_path: Path) -> Server:
    (tmp_path / "app.py").write_text(APP)
    return Server(tmp_path, "-k", "gevent", "-w", "1", "app:app")


def test_the_child_does_its_own_work_only(server: Server, tmp_path: Path) -> None:
    with server.ready(1), Client(server.url) as slow, Client(server.url) as kept, Client(server.url) as forks:
        pid = str(next(iter(server.workers())))
        assert kept.get().body.decode() == pid
        slow.request("/sleep")
        assert forks.get("/fork").body.decode() == pid
        began = time.monotonic()
        assert {kept.get().body.decode() for _ in range(100)} == {pid}
        assert {server.get()[1] for _ in range(20)} == {pid}
        assert slow.read_response().body.decode() == pid
        forks.socket.close()
        for process in server.workers():
            rests(process)
        assert slow.get().body.decode() == pid
        assert "gone" not in server.text
        wait_for((tmp_path / "child.txt").exists, "the child's own work")
        assert time.monotonic() - began < 10
        wait_for(lambda: server.workers() == {int(pid)}, "the child to be gone")
        assert server.get()[1] == pid


def test_a_child_that_comes_back_answers_nobody(server: Server) -> None:
    with server.ready(1), Client(server.url) as client:
        pid = str(next(iter(server.workers())))
        assert {client.get("/come-back").body.decode() for _ in range(5)} == {pid}
        wait_for(lambda: server.workers() == {int(pid)}, "the children to be gone")

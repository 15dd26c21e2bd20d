"""What `NetworkOptions` decide: where the server listens, and what is spoken there."""

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest
from tests.settings.observers.registry import observes
from tests.support.raw import Client, wait_for

from pronghorn.wire.uwsgi import render


@observes("bind")
def bind(start, place):
    server = start(bind=["127.0.0.1:0", f"unix:{place}/shop.sock"])
    assert server.get()[0] == 200
    with Client(f"unix://{place}/shop.sock") as client:
        assert client.get().status == 200


def is_stopped(pid: int) -> bool:
    """Whether each of its threads is: a signal is not heard before the end of a system call, such as accept."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@observes("backlog")
def backlog(start, place):
    # Where nobody accepts, a unix socket says at once that its queue is full: at one more than the backlog.
    server = start(bind=f"unix:{place}/shop.sock", backlog=3).ready(1)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        stack.callback(os.kill, worker, signal.SIGCONT)
        wait_for(lambda: is_stopped(worker), "the worker to be stopped")
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect(f"{place}/shop.sock")
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.connect(f"{place}/shop.sock")


@observes("reuse_port")
def reuse_port(start, place):
    first = start(reuse_port=True).ready(1)
    second = start(reuse_port=True, bind="{}:{}".format(*first.address)).ready(1)
    assert second.address == first.address
    pids = first.workers() | second.workers()
    found = set()

    def ask() -> bool:
        found.add(int(first.get()[1]))
        return found == pids

    wait_for(ask, "both to be asked")


@observes("protocol", "uwsgi_allow_ips")
def protocol(start, place):
    packet = render({"REQUEST_METHOD": "GET", "REQUEST_URI": "/of?HTTP_HOST", "HTTP_HOST": "shop"})
    for allowed, status, body in (("127.0.0.1", 200, b"shop"), ("10.0.0.0/8", 403, None)):
        server = start(protocol="uwsgi", uwsgi_allow_ips=allowed)
        with Client(server.url) as client:
            client.send(packet)
            answer = client.read_response()
            assert "listening on uwsgi://127.0.0.1:" in server.text
            assert (answer.status, answer.body if body else None) == (status, body)

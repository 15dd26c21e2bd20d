"""Applications that keep what they were given, call back too late or into the server, or answer strangely."""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support.apps import Body as Pieces
from tests.support.raw import Client

from pronghorn.testing import serve


def answer(status="200 OK", headers=(), body=(b"ok",)):
    def app(environ, start_response):
        start_response(status, list(headers))
        return body

    return app


@pytest.mark.parametrize(
    "status", ["100 Continue", "101 Switching Protocols", "103 Early Hints", "199 X", "099 X", "600 X"]
)
def test_rule_76_interim_and_impossible_statuses_are_an_error(status, caplog):
    """1xx is no final response: the client would wait for another one."""
    with serve(answer(status)) as url, Client(url) as client:
        assert client.get().status in {500, 600}


@pytest.mark.parametrize("value", ["+2", " 2", "2 ", "2_0", "\u0662", "", "0x2", "2, 2", "9" * 20, "\u00ff" * 18])
def test_a_length_that_is_none_is_an_error(value, caplog):
    with serve(answer(headers=[("Content-Length", value)])) as url, Client(url) as client:
        client.request()
        try:
            response = client.read_response()
        except ConnectionError:
            return
        assert response.status == 500 or response.headers["content-length"] == "2"


def test_two_lengths_are_never_sent(caplog):
    for second in ("2", "3"):
        with serve(answer(headers=[("Content-Length", "2"), ("content-length", second)])) as url, Client(url) as client:
            response = client.get()
            assert response.status == 500 or response.headers["content-length"] == "2"


@pytest.mark.parametrize("body", [b"bytes", "text", {"a": 1}, [[b"x"]]], ids=repr)
def test_bodies_of_other_kinds(body, caplog):
    with serve(answer(body=body)) as url:
        for _ in range(2):
            with Client(url) as client:
                assert client.get().status in {200, 500}


def say_nothing_more(client):
    """Waits a moment for bytes that must not come."""
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)


def write_late(write):
    """Calls a `write` of a finished request: an error is right, and so is nothing."""
    with contextlib.suppress(Exception):
        write(b"too late")


@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]], ids=["no length", "length"])
@pytest.mark.parametrize("make", [lambda: [b"ab"], lambda: iter([b"a", b"b"])], ids=["list", "stream"])
def test_write_after_the_end_of_the_response_sends_nothing(headers, make, caplog):
    kept = []

    def app(environ, start_response):
        kept.append(start_response("200 OK", list(headers)))
        return make()

    with serve(app) as url, Client(url) as client:
        assert client.get().body == b"ab"
        write_late(kept[0])
        say_nothing_more(client)


def test_write_after_the_end_of_the_connection_reaches_no_other_client(caplog):
    """The memory of a connection is used again for the next one; who wrote to the old one must not reach the new."""
    kept = []

    def app(environ, start_response):
        kept.append(start_response("200 OK", []))
        return [b"ab"]

    with serve(app) as url:
        with Client(url) as first:
            assert first.get("/", "Connection: close").body == b"ab"
            assert first.is_closed()
        with Client(url) as second:
            assert second.get().body == b"ab"
            write_late(kept[0])
            say_nothing_more(second)


def test_start_response_after_the_end_changes_nothing(caplog):
    kept = []

    def app(environ, start_response):
        kept.append(start_response)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ab"]

    with serve(app) as url, Client(url) as client:
        client.get()
        with pytest.raises(Exception):  # noqa: B017, PT011
            kept[0]("200 OK", [])
        assert client.get().body == b"ab"


def test_the_input_can_be_kept_beyond_the_request():
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url:
        for size in (10, 3 << 20):
            with Client(url) as client:
                assert client.get("/", method="POST", body=b"x" * size).body == b"ok"
        gc.collect()
        for stream in kept:
            try:
                stream.read()
            except ValueError:
                continue  # closed, as a file may be


def test_the_environ_can_be_emptied(caplog):
    def app(environ, start_response):
        environ.clear()
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        for _ in range(3):
            assert client.get().body == b"ok"


def test_an_application_that_asks_its_own_server():
    urls = []

    def app(environ, start_response):
        body = b"inner"
        if environ["PATH_INFO"] == "/outer":
            with Client(urls[0]) as client:
                body = b"outer " + client.get("/inner").body
        start_response("200 OK", [])
        return [body]

    # In greenlets its client would have to be one of gevent's.
    with serve(app, threads=4, worker_class="threads") as url, Client(url) as client:
        urls.append(url)
        for _ in range(10):
            assert client.get("/outer").body == b"outer inner"


def test_a_child_process_inherits_no_socket():
    """Otherwise a closed connection stays open for as long as the child runs."""

    def app(environ, start_response):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
        children.append(child)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    children = []
    try:
        with serve(app) as url, Client(url) as client:
            assert client.get("/", "Connection: close").body == b"ok"
            assert client.is_closed()
    finally:
        for child in children:
            child.communicate(b"\n")


def test_an_iterator_that_is_its_own_next_request():
    """A body whose pieces come from another thread."""
    import queue

    pieces = queue.SimpleQueue()

    def app(environ, start_response):
        threading.Thread(target=lambda: [pieces.put(piece) for piece in (b"a", b"b", None)]).start()
        start_response("200 OK", [])
        return iter(pieces.get, None)

    with serve(app) as url, Client(url) as client:
        for _ in range(3):
            assert client.get().body == b"ab"


@pytest.mark.parametrize("peer", ["leaves", "reads nothing"])
def test_endless_writing_ends_when_nobody_takes_it(peer, caplog):
    """An iterable is no longer asked for pieces then; who calls write() can only be told by an error."""
    ended, given_up = threading.Event(), threading.Event()

    def app(environ, start_response):
        write = start_response("200 OK", [])
        try:
            while not given_up.is_set():
                write(b"x" * 65536)
        finally:
            ended.set()
        return []

    with serve(app, send_timeout=0.3) as url, Client(url, receive_buffer=4096) as client:
        client.request()
        client.read_until(b"x" * 100)
        if peer == "leaves":
            client.socket.close()
        try:
            assert ended.wait(5)
        finally:
            given_up.set()


@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]], ids=["chunked", "length"])
def test_close_that_takes_long_does_not_hold_the_response(headers):
    """Frameworks run background work in close(); the response was complete before it."""
    done = threading.Event()

    class Body(Pieces):
        def close(self):
            done.wait(10)
            super().close()

    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return Body([b"o", b"k"])

    with serve(app) as url, Client(url) as client:
        client.socket.settimeout(1)
        try:
            assert client.get().body == b"ok"
        finally:
            done.set()


def test_pipelined_behind_a_body_in_a_file():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [str(len(environ["wsgi.input"].read())).encode()]

    body = os.urandom(1 << 20) * 3
    with serve(app) as url, Client(url) as client:
        request = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        sender = threading.Thread(target=client.send, args=(request * 3 + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",))
        sender.start()
        assert [client.read_response().body for _ in range(4)] == [str(len(body)).encode()] * 3 + [b"0"]
        sender.join()


def test_descriptors_are_given_back():
    def opened():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url:
        before = None
        for round_ in range(30):
            with Client(url) as client:
                client.get("/", method="POST", body=b"x" * (2 << 20))
                client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000)
                client.socket.shutdown(socket.SHUT_RDWR)
            with Client(url) as client:
                client.send(b"BAD\r\n\r\n")
                client.read_to_end()
            if round_ == 5:
                before = opened()
    assert opened() <= before

"""Serves what test_copying.py sends, in a process of its own, and counts what is copied meanwhile.

A case is [octets as latin-1, octets of a piece]; each is sent by a child of this process, whose copies do not count.
"""

import ctypes
import json
import os
import socket
import sys

from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.testing import serve_engine
from tests.support.raw import Client, wait_for


def quadratic(values: list[str]) -> str:
    """What must not be done: each value is joined to all that came before."""
    joined = ""
    for value in values:
        joined = f"{joined}, {value}"
    return joined


def application(environ, start_response):
    """Reads the body; joins in the bad way what `/quadratic` has in its field."""
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/quadratic":
        quadratic(environ["HTTP_A"].split(", "))
    start_response("200 OK", [("Content-Length", "0")])
    return []


REPEATED = 3


def send(url, row, data, piece):
    """Sends a request in such pieces, each when the one before has been read, and waits for the answer."""
    with Client(url) as client:
        due = row.received
        for at in range(0, len(data), piece):
            client.send(data[at : at + piece])
            due += len(data[at : at + piece])
            wait_for(lambda: row.received >= due, "a piece to be read")  # noqa: B023 - called at once
        assert client.read_response().status == 200


def count(copied, url, row, data, piece):
    """How many octets the server copies for a request, at least: what else it does now and then does not count."""
    return min(count_once(copied, url, row, data, piece) for _ in range(REPEATED))


def count_once(copied, url, row, data, piece):
    before = copied()
    child = os.fork()
    if child == 0:
        try:
            send(url, row, data, piece)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    assert os.waitpid(child, 0)[1] == 0
    return copied() - before


def main():
    """Reads the cases from standard input, and writes a count for each."""
    copied = ctypes.CDLL(None).octets_copied
    copied.restype = ctypes.c_uint64
    cases = [(text.encode("latin-1"), piece) for text, piece in json.load(sys.stdin)]
    row = Scoreboard(1).slot(0)
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    limits = {"limit_request_fields": 30_000, "limit_request_head": 1 << 22, "limit_request_body": 1 << 22}
    with serve_engine(application, [listener], slot=row, **limits):
        json.dump([count(copied, url, row, data, piece) for data, piece in cases], sys.stdout)


if __name__ == "__main__":
    main()

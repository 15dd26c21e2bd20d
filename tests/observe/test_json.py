"""JSON logs: every line is valid for a strict reader and gives back what was sent, whatever was sent."""

import json
import logging
import os
import re
import socket
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.process import Server
from tests.support.raw import Client, wait_for

from pronghorn.observe import json_line
from pronghorn.observe.access import AccessLog
from pronghorn.testing import serve_engine

APP = """
import logging, sys, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise ValueError("broken \\u20ac\\n[application]")
    if path == "/print":
        environ["wsgi.errors"].write("two\\nlines\\n")
    if path == "/sleep":
        time.sleep(30)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
FIELDS = [
    "time", "request_id", "client", "method", "path", "query", "protocol", "status", "bytes", "duration_ms",
    "queue_ms", "worker", "thread", "referer", "user_agent",
]  # fmt: skip


@given(st.binary(max_size=200))
@example('\u0000\u001f"\\/\u007f\u0080\u009f\u00a0é€😀'.encode())
@example(b"\xc0\xaf \xe0\x80\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xf5 \xe2\x82 \xf0\x9f\x98 \xff")
@example(b"\xc2")
@example(b"\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xef\xbf\xbf\xee\x80\x80\xed\x9f\xbf")
def test_octets_are_read_as_utf_8(octets):
    quoted = json_line.quote(octets)
    assert json.loads(quoted) == octets.decode("utf-8", "backslashreplace")
    # Strict UTF-8, one line, and nothing that gives a terminal orders.
    assert quoted.decode().isprintable() or not set(quoted.decode()) & CONTROLS


CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.integers(), st.text(max_size=100)), min_size=1))
def test_an_object_is_what_was_put_in(fields):
    line = json_line.render(fields)
    assert "\n" not in line
    expected = {
        name.encode("utf-8", "backslashreplace").decode(): value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }
    assert json.loads(line) == expected


def read_as(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


IN_TARGET = st.binary(max_size=40).map(lambda octets: bytes(octet for octet in octets if 0x21 <= octet < 0x7F))
IN_FIELD = st.binary(min_size=1, max_size=60).map(
    lambda octets: b"x" + bytes(octet for octet in octets if octet >= 0x20 and octet != 0x7F) + b"x"
)


def test_whatever_a_client_sends_comes_back_from_its_line(tmp_path):
    """A hundred requests over one connection; each line holds what its request did."""
    log = AccessLog("", str(tmp_path / "access.log"), json=True)
    sent = []

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]

    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    with serve_engine(app, [bound], access=log), Client(url) as client:

        @given(IN_TARGET, IN_FIELD, IN_FIELD)
        def ask(target, agent, referer):
            target = target.replace(b"#", b"").replace(b"%", b"")
            client.send(
                b"GET /" + target + b" HTTP/1.1\r\nHost: test\r\nUser-Agent: " + agent
                + b"\r\nReferer: " + referer + b"\r\n\r\n"
            )  # fmt: skip
            if client.read_response().status == 200:
                sent.append((b"/" + target, agent, referer))

        ask()
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_bytes().splitlines()]
    lines = [line for line in lines if line["status"] == 200]
    assert len(sent) == len(lines) > 50
    for (target, agent, referer), line in zip(sent, lines, strict=True):
        path, question, query = target.decode().partition("?")
        assert (line["path"], line["query"]) == (path, query if question else None)
        assert (line["user_agent"], line["referer"]) == (read_as(agent), read_as(referer))
        assert list(line) == FIELDS
    assert len({line["request_id"] for line in lines}) == len(lines)


def test_the_fields_of_a_request_and_of_a_refused_one(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    arguments = ("--workers", "1", "--log-format", "json", "--access-logfile", "access.log", "app:app")
    with Server(tmp_path, *arguments) as server, Client(server.url) as client:
        client.get("/caf%C3%A9?a=%20", "User-Agent: caf\xc3\xa9")
        client.send(b"BAD\r\n\r\n")
        assert client.read_response().status == 400
        lines = wait_for_lines(tmp_path / "access.log", 2)
        (worker,) = server.workers()
    first, second = lines
    began = datetime.strptime(first["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs((datetime.now(UTC) - began).total_seconds()) < 60
    assert re.fullmatch(rf"{worker:x}-[0-9a-f]+-1", first["request_id"])
    assert first["duration_ms"] >= 0
    stable = {name: first[name] for name in FIELDS if name not in {"time", "request_id", "duration_ms", "queue_ms"}}
    assert stable == {
        "client": "127.0.0.1", "method": "GET", "path": "/caf\xe9", "query": "a=%20", "protocol": "HTTP/1.1",
        "status": 200, "bytes": 5, "worker": worker, "thread": 0, "referer": None, "user_agent": "caf\xe9",
    }  # fmt: skip
    assert list(second) == FIELDS
    assert (second["status"], second["method"], second["path"], second["protocol"]) == (400, None, None, None)


def test_the_error_log(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with Server(tmp_path, "--workers", "1", "--log-format", "json", "app:app") as server:
        with Client(server.url) as client:
            assert client.get("/error").status == 500
            client.get("/print")
            wait_for(lambda: "lines" in server.text, "what the application prints")
        (worker,) = server.workers()
        lines = [json.loads(line) for line in server.lines]
    assert all(list(line) == ["time", "level", "pid", "request_id", "message", "exception"] for line in lines)
    assert lines[0]["pid"] == server.pid
    (error,) = [line for line in lines if line["exception"]]
    assert (error["level"], error["pid"], error["message"]) == ("ERROR", worker, "Error handling request GET /error")
    assert error["exception"].startswith("Traceback")
    assert error["exception"].endswith("ValueError: broken \u20ac\n[application]")
    assert re.fullmatch(rf"{worker:x}-[0-9a-f]+-1", error["request_id"])
    (printed,) = [line for line in lines if line["message"] == "two\nlines"]
    assert printed["request_id"].endswith("-2")


def test_a_request_that_was_late_has_its_line(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    more = ("--timeout", "0.2", "--log-format", "json", "--access-logfile", "access.log")
    with Server(tmp_path, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
        assert client.get("/sleep?long").status == 504
        (line,) = wait_for_lines(tmp_path / "access.log", 1)
        assert line["request_id"] in server.text
    assert (line["status"], line["method"], line["path"], line["query"]) == (504, "GET", "/sleep", "long")
    assert 200 <= line["duration_ms"] < 20_000


def test_the_time_a_request_waited_for_a_thread(tmp_path):
    log = AccessLog("", str(tmp_path / "access.log"), json=True)
    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"

    inside = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/first":
            inside.set()
            wait_for(lambda: any("waiting for a thread" in what for what in engine.running()), "the other one to wait")
            time.sleep(0.02)
        start_response("200 OK", [])
        return [b""]

    with serve_engine(app, [bound], access=log, threads=1) as engine, Client(url) as first, Client(url) as second:
        first.request("/first")
        assert inside.wait(10)
        second.request("/second")
        assert first.read_response().status == second.read_response().status == 200
    lines = {line["path"]: line for line in map(json.loads, (tmp_path / "access.log").read_text().splitlines())}
    waits = sorted(line["queue_ms"] for line in lines.values())
    assert waits[0] == 0
    assert waits[1] > 10


def test_a_long_value_is_cut_and_the_line_is_whole(tmp_path):
    log = AccessLog("", str(tmp_path / "access.log"), json=True)
    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"

    def app(environ, start_response):
        environ["HTTP_REFERER"] = "\x01" * 30_000
        environ["HTTP_USER_AGENT"] = "\u20ac" * 30_000
        start_response("200 OK", [])
        return [b""]

    with serve_engine(app, [bound], access=log), Client(url) as client:
        client.get("/" + "x" * 5000)
    text = (tmp_path / "access.log").read_text()
    line = json.loads(text)
    assert len(text.encode()) < 2 * 65_536
    assert line["path"] == "/" + "x" * 5000
    assert set(line["referer"]) == {"\x01"}
    assert len(line["referer"]) > 5000


def test_a_record_whose_arguments_do_not_fit(tmp_path, capfd):
    from pronghorn.observe.records import JsonFormatter, SinkHandler
    from pronghorn.observe.sink import Sink

    handler = SinkHandler(Sink(str(tmp_path / "log"), 2), JsonFormatter())
    handler.handle(logging.LogRecord("x", logging.ERROR, __file__, 1, "%d things", ("many",), None))
    handler.sink.close()
    line = json.loads((tmp_path / "log").read_text())
    assert line["message"].startswith("'%d things' with ('many',) (TypeError:")
    assert (line["pid"], line["request_id"]) == (os.getpid(), None)


def wait_for_lines(path, count):
    wait_for(lambda: path.exists() and len(path.read_text().splitlines()) >= count, f"{count} lines")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb"])
def test_half_a_character_is_shown(text):
    assert json.loads(json_line.render({"x": text})) == {"x": text.encode("utf-8", "backslashreplace").decode()}

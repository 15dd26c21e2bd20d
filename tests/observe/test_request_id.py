"""A request's id: from a trusted peer or made here; in the environ, the response and both logs, the same everywhere."""

import json
import re

import pytest
from tests.support.process import Server, run
from tests.support.raw import Client, wait_for

APP = """
import json, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise ValueError("broken")
    if path == "/sleep":
        time.sleep(30)
    headers = [("Content-Type", "text/plain")]
    if path == "/own":
        headers.append(("x-request-id", "of-the-application"))
    start_response("200 OK", headers)
    names = ("pronghorn.request_id", "HTTP_X_REQUEST_ID", "HTTP_X_TRACE")
    return [json.dumps({name: environ.get(name) for name in names}).encode()]
"""
MADE = r"[0-9a-f]{12}-[0-9a-f]+-[0-9a-f]+"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def ask(client, path="/", *headers):
    response = client.get(path, *headers)
    return response.headers.get("x-request-id"), json.loads(response.body) if response.status == 200 else None


def test_one_id_everywhere(folder):
    fmt = "%({x-request-id}i)s %({pronghorn.request_id}e)s %(U)s"
    more = ("--request-id", "--access-logfile", "access.log", "--access-logformat", fmt)
    with Server(folder, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
        found = [ask(client), ask(client), ask(client, "/", "X-Request-ID: given.1")]
        for told, environ in found:
            assert environ == {"pronghorn.request_id": told, "HTTP_X_REQUEST_ID": told, "HTTP_X_TRACE": None}
        first, second, given = (told for told, _ in found)
        assert re.fullmatch(MADE, first)
        assert re.fullmatch(MADE, second)
        assert first != second
        assert given == "given.1"
        failed, _ = ask(client, "/error", "X-Request-ID: given.2")
        assert failed == "given.2"
        server.said(r"\[ERROR\] \[given\.2\] Error handling request GET /error")
        assert ask(client, "/own")[0] == "of-the-application"
        wait_for(lambda: len((folder / "access.log").read_text().splitlines()) == 5, "five lines")
    lines = (folder / "access.log").read_text().splitlines()
    assert lines[:4] == [f"{first} {first} /", f"{second} {second} /", "given.1 given.1 /", "given.2 given.2 /error"]


def test_nothing_of_it_without_the_setting(folder):
    with Server(folder, "--workers", "1", "app:app") as server, Client(server.url) as client:
        assert ask(client) == (None, {"pronghorn.request_id": None, "HTTP_X_REQUEST_ID": None, "HTTP_X_TRACE": None})
        assert client.get("/error").status == 500
        server.said(r"\[ERROR\] Error handling request GET /error")


@pytest.mark.parametrize("value", ["x" * 129, "a b", "a;b", 'a"b', "caf\xe9", ""])
def test_what_is_no_id_is_replaced(folder, value):
    with Server(folder, "--workers", "1", "--request-id", "app:app") as server, Client(server.url) as client:
        told, environ = ask(client, "/", f"X-Request-ID: {value}")
        assert re.fullmatch(MADE, told)
        assert environ["HTTP_X_REQUEST_ID"] == told


def test_a_peer_that_is_not_trusted_gives_no_id(folder):
    more = ("--request-id", "--forwarded-allow-ips", "10.0.0.1")
    with Server(folder, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
        told, environ = ask(client, "/", "X-Request-ID: forged")
        assert re.fullmatch(MADE, told)
        assert environ["HTTP_X_REQUEST_ID"] == environ["pronghorn.request_id"] == told


def test_another_header(folder):
    more = ("--request-id", "--request-id-header", "X-Trace")
    with Server(folder, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
        response = client.get("/", "X-Trace: t-1", "X-Request-ID: other")
        environ = json.loads(response.body)
        assert response.headers["x-trace"] == "t-1"
        assert environ == {"pronghorn.request_id": "t-1", "HTTP_X_REQUEST_ID": "other", "HTTP_X_TRACE": "t-1"}


def test_a_late_request_is_answered_and_logged_with_its_id(folder):
    more = ("--request-id", "--timeout", "0.2", "--log-format", "json", "--access-logfile", "access.log")
    with Server(folder, "--workers", "1", *more, "app:app") as server, Client(server.url) as client:
        response = client.get("/sleep", "X-Request-ID: late-1")
        assert (response.status, response.headers["x-request-id"]) == (504, "late-1")
        server.said(r"GET /sleep \(request late-1, client 127\.0\.0\.1\) runs for")
        wait_for((folder / "access.log").read_text, "its line")
    assert json.loads((folder / "access.log").read_text())["request_id"] == "late-1"


@pytest.mark.parametrize("name", ["X_Request_ID", "Host", "X Y", "Content-Length"])
def test_a_header_that_cannot_hold_one(folder, name):
    result = run(folder, "--request-id-header", name, "--check-config", "app:app")
    assert result.returncode == 2
    assert f"request_id_header {name!r} cannot be the header of an id" in result.stderr

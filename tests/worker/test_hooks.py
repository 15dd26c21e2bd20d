"""The hooks around each request, and what is handed to them."""

import socket
import threading

import pytest
from tests.support.hooks import LINES, NOTING, Told
from tests.support.process import Server
from tests.support.raw import Client, wait_for

APP = """
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    environ["HTTP_HOST"] = "changed by the application"
    if path == "/raise":
        raise KeyError("not here")
    if path == "/late":
        start_response("200 OK", [])
        return broken()
    start_response("201 Made", [("Content-Type", "text/plain"), ("X-More", "1")])
    if path == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if path == "/stream":
        return iter([b"one", b"two"])
    if path == "/wrapped":
        return [environ["wrapped"].encode()]
    return [environ["wsgi.input"].read() or b"hello"]

def broken():
    yield b"some"
    raise KeyError("not here")
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def serve(place, conf, *arguments, **environ):
    (place / "gunicorn.conf.py").write_text(conf)
    return Server(place, "--workers", "1", *arguments, "app:app", **environ)


def ask(server, request: bytes) -> tuple[int, bytes]:
    with Client(server.url) as client:
        client.send(request)
        response = client.read_response()
        return response.status, response.body


def test_a_request_and_its_response(place):
    told = Told(place)
    with serve(place, NOTING) as server:
        request = (
            b"POST /a%20b?c=d%20e HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 3\r\n\r\nabc"
        )
        assert ask(server, request) == (201, b"abc")
        wait_for(lambda: told.of("post_request"), "the hook")
        ((_, (worker, req)),) = told.of("pre_request")
        assert (worker["nr"], worker["booted"], worker["alive"]) == (0, True, True)
        assert req.pop("peer_addr")[0] == "127.0.0.1"
        headers = [["HOST", "h"], ["X-TWO", "1, 2"], ["CONTENT-TYPE", "text/plain"], ["CONTENT-LENGTH", "3"]]
        assert req == {
            "method": "POST",
            "path": "/a%20b",
            "uri": "/a%20b?c=d%20e",
            "query": "c=d%20e",
            "fragment": "",
            "headers": headers,
            "version": [1, 1],
            "scheme": "http",
        }
        ((_, (worker, req, _, resp)),) = told.of("post_request")
        assert worker["nr"] == 1
        assert req["headers"] == headers  # whatever the application does with its environ
        assert resp == {
            "status": "201 Made",
            "status_code": 201,
            "headers": [["Content-Type", "text/plain"], ["X-More", "1"]],
            "sent": 3,
            "response_length": None,
            "headers_sent": True,
            "chunked": False,
        }


CASES = {
    "/": (201, 5),
    "/file": (201, len(APP)),
    "/stream": (201, 6),
    "/raise": (500, 22),
    "/late": (200, 4),
}


@pytest.mark.parametrize("threads", [1, 8])
def test_every_way_to_answer(place, threads):
    told = Told(place)
    with serve(place, NOTING, "--threads", str(threads)) as server:
        for path in CASES:
            with Client(server.url) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
                client.read_to_end()
        wait_for(lambda: len(told.of("post_request")) == len(CASES), "the hooks")
        found = {req["uri"]: (resp["status_code"], resp["sent"]) for _, (_, req, _, resp) in told.of("post_request")}
        assert found == CASES
        assert [worker["nr"] for _, (worker, *_) in told.of("post_request")] == [1, 2, 3, 4, 5]


def test_hooks_that_raise(place):
    told = Told(place)
    with serve(place, NOTING) as server:
        request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        (place / "raise.pre_request").touch()
        assert ask(server, request)[0] == 500
        server.said("pre_request raised, so GET / is answered 500")
        wait_for(lambda: told.of("post_request"), "the other hook")
        assert told.of("post_request")[0][1][3]["status_code"] == 500
        assert told.of("post_request")[0][1][0]["nr"] == 0
        (place / "raise.pre_request").unlink()
        (place / "raise.post_request").touch()
        with Client(server.url) as client:
            for _ in range(2):
                client.send(request)
                assert client.read_response().status == 201
        server.said("post_request raised after GET /", 2)
        server.said(f"line {LINES['post_request'] + 1}, in post_request", 2)


@pytest.mark.parametrize("name", ["pre_request", "post_request"])
def test_one_of_them_alone(place, name):
    told = Told(place)
    lines = NOTING.splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines, 1) if number < min(LINES.values()) or f"{name}(" in line]
    kept.append(lines[LINES[name]])
    with serve(place, "".join(kept)) as server:
        assert ask(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")[0] == 201
        wait_for(lambda: told.names() == [name], "the hook")


WAITING = """
import os, time
def post_request(worker, req):
    while not os.path.exists("go"):
        time.sleep(0.01)
    worker.log.warning("went on after %s", req.path)
"""


def test_nobody_waits_for_what_comes_after_a_request(place):
    with serve(place, WAITING, "--threads", "4") as server:
        for path in ("/", "/stream"):
            assert ask(server, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())[0] == 201
        (place / "go").touch()
        server.said("went on after /", 2)


def test_a_hook_that_never_ends_has_the_time_of_its_request(place):
    with serve(place, WAITING, "--threads", "1", "--timeout", "1s") as server:
        for path in ("/", "/raise"):
            assert ask(server, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())[0] in (201, 500)
            server.said(f"post_request raised after GET {path}\n")
        server.said("it has been answered already", 2)
        assert ask(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")[0] == 201


LEFT = """
import threading
def pre_request(worker, req):
    req.left = req.path
    worker.left = "here"
def post_request(worker, req, environ):
    assert req.left == req.path == environ["PATH_INFO"] and worker.left == "here"
    worker.log.info("after %s", req.path)
"""


def test_what_one_hook_leaves_the_other_finds_also_with_many_threads(place):
    with serve(place, LEFT, "--threads", "8") as server:
        bursts = [threading.Thread(target=burst, args=(server.address, range(n, 200, 8))) for n in range(8)]
        for thread in bursts:
            thread.start()
        for thread in bursts:
            thread.join()
        server.said("after /", 200)
        assert {f"after /{n}" for n in range(200)} == set(server.said(r"after /\d+", 200))
        assert "raised" not in server.text


def burst(address, numbers):
    with socket.create_connection(address) as sock:
        sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in numbers))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def test_a_hook_asks_for_another_worker(place):
    conf = "def post_request(worker, req):\n    if worker.nr == 3:\n        worker.alive = False\n"
    with serve(place, conf) as server:
        for _ in range(4):
            assert ask(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")[0] == 201
        server.said(r"asks to be replaced: a hook has set worker\.alive to False")
        server.ready(2)


def test_an_application_that_a_hook_wraps(place):
    conf = """
def post_worker_init(worker):
    inner = worker.wsgi
    assert inner is worker.app.wsgi()
    def outer(environ, start_response):
        return inner({**environ, "wrapped": "by a hook"}, start_response)
    worker.wsgi = outer
"""
    with serve(place, conf) as server:
        assert ask(server, b"GET /wrapped HTTP/1.1\r\nHost: h\r\n\r\n") == (201, b"by a hook")


def test_what_hooks_are_handed(place):
    conf = """
timeout = 7
raw_env = ["A=1"]
def when_ready(server):
    cfg = server.cfg
    assert cfg.timeout == 7 and type(cfg.timeout) is int, cfg.timeout
    assert cfg.workers == server.num_workers == 1 and cfg.raw_env == ["A=1"]
    assert cfg.keepalive and cfg.certfile is None and cfg.is_ssl is False and cfg.uid >= 0
    assert cfg.app == cfg.wsgi_app == server.app.app_uri == "app:app"
    assert server.address == cfg.address == [("127.0.0.1", 0)]
    (sock,) = server.LISTENERS
    assert str(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"
    try:
        cfg.no_such_setting
    except AttributeError as error:
        assert str(error) == "cfg has no no_such_setting: there is no such setting"
    else:
        raise AssertionError
    try:
        server.app.wsgi()
    except RuntimeError as error:
        assert "app:app is not imported here" in str(error)
    else:
        raise AssertionError
    server.log.access_log.addFilter(print)
    for level in ("info", "warning", "error", "critical"):
        getattr(server.log, level)("said as %s", level)
    try:
        raise ValueError("shown")
    except ValueError:
        server.log.exception("said with a trace")
    server.left = "here"
def post_fork(server, worker):
    assert server.left == "here" and server.pid == worker.ppid and str(worker) == f"<Worker {worker.pid}>"
    worker.log.info("all is there")
"""
    with serve(place, conf) as server:
        server.ready(1)
        server.said("all is there")
        server.said(r"\[CRITICAL\] said as critical")
        server.said("ValueError: shown")

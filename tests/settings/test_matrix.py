"""Every setting has its effect: each is given in a file to a server of its own, and seen over a socket or in a process.

A setting of the table without an observer below fails. An observer shows what would not be so with the default.
"""

import contextlib
import json
import os
import select
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.process import Server
from tests.support.raw import Client, wait_for

from pronghorn.options.table import TABLE
from pronghorn.wire.uwsgi import render

APPLICATION = """\
import os, sys, threading, time

with open("imports", "a") as file:
    file.write("x")

inside, most, lock = 0, 0, threading.Lock()
kept = []

def spooled():
    held = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
    return [target for fd in held if "/bodies/" in (target := os.readlink(fd) if os.path.lexists(fd) else "")]

def together():
    global inside, most
    with lock:
        inside += 1
        most = max(most, inside)
    time.sleep(0.2)
    with lock:
        inside -= 1
    return str(most)

def streamed():
    for number in range(512):
        yield b"x" * 65536
    open("streamed", "w").close()

def answer(environ):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/sleep":
        open("inside", "w").close()
        time.sleep(float(query))
    if path == "/fill":
        kept.append(b"x" * int(query))
    return {
        "/cwd": os.getcwd,
        "/import": lambda: __import__(query).__name__,
        "/environ": lambda: os.environ.get(query, "none"),
        "/multithread": lambda: str(environ["wsgi.multithread"]),
        "/scheme": lambda: environ["wsgi.url_scheme"],
        "/of": lambda: str(environ.get(query)),
        "/spooled": lambda: "\\n".join(spooled()),
        "/together": together,
        "/large": lambda: "x" * (64 << 20),
    }.get(path, lambda: str(os.getpid()))()

def app(environ, start_response):
    start_response("200 OK", [])
    return streamed() if environ["PATH_INFO"] == "/stream" else [answer(environ).encode()]

def other(environ, start_response):
    start_response("200 OK", [])
    return [b"the other"]
"""

TESTS = Path(__file__).parents[1]

Start = Callable[..., Server]
OBSERVERS: dict[str, Callable[[Start, Path], None]] = {}


def observes(*names: str) -> Callable[[Callable[[Start, Path], None]], Callable[[Start, Path], None]]:
    def register(observer: Callable[[Start, Path], None]) -> Callable[[Start, Path], None]:
        OBSERVERS.update(dict.fromkeys(names, observer))
        return observer

    return register


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers with settings from a `gunicorn.conf.py`, one worker unless it says how many."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **settings: Any) -> Server:
            settings = {"wsgi_app": "shop:app", "workers": 1, "bind": "127.0.0.1:0"} | settings
            text = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
            (tmp_path / "gunicorn.conf.py").write_text(text)
            return stack.enter_context(Server(tmp_path, *arguments, bind=()))

        yield start


ELSEWHERE = {
    "user": "test_the_application_never_sees_root",
    "group": "test_the_groups_of_the_user",
    "initgroups": "test_the_groups_of_the_user",
}
"""Seen in tests/arbiter/test_privileges.py, by root."""


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_seen_elsewhere_is(name):
    _, _, test = (TESTS / "arbiter" / "test_privileges.py").read_text().partition(f"def {ELSEWHERE[name]}(")
    assert f'"--{name}"' in test.partition("\ndef ")[0]


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ELSEWHERE])
def test_has_its_effect(name, start, tmp_path):
    assert name in OBSERVERS, f"{name} has no observer: write one that sees its effect over a socket or in a process"
    OBSERVERS[name](start, tmp_path)


def test_nothing_is_observed_that_is_no_setting():
    assert set(OBSERVERS) <= set(TABLE)


def busy(server: Server, place: Path, seconds: int = 60) -> Client:
    """A connection whose request is inside the application."""
    client = Client(server.url)
    client.request(f"/sleep?{seconds}")
    wait_for((place / "inside").exists, "the request to be inside")
    return client


@observes("app")
def app(start, place):
    assert start(wsgi_app="shop:other").get() == (200, "the other")


@observes("chdir", "pythonpath")
def surroundings(start, place):
    for folder in ("web", "lib"):
        (place / folder).mkdir()
    (place / "lib" / "extra.py").write_text("")
    server = start(chdir="web", pythonpath=f"{place}/lib,{place}")
    assert server.get("/cwd")[1] == str(place / "web")
    assert server.get("/import?extra") == (200, "extra")


@observes("preload_app")
def preload_app(start, place):
    start(preload_app=True, workers=2).ready(2)
    assert (place / "imports").read_text() == "x"


@observes("raw_env")
def raw_env(start, place):
    assert start(raw_env=["COLOUR=red,blue"]).get("/environ?COLOUR") == (200, "red,blue")


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


@observes("umask")
def umask(start, place):
    start(bind=f"unix:{place}/shop.sock", umask=0o027).ready(1)
    assert stat.S_IMODE((place / "shop.sock").stat().st_mode) == 0o750


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


@observes("workers")
def workers(start, place):
    assert len(start(workers=3).ready(3).workers()) == 3


@observes("worker_class")
def worker_class(start, place):
    assert start(worker_class="sync").get("/multithread") == (200, "False")
    start(worker_class="gevent").said("1000 greenlets")


@observes("graceful_timeout")
def graceful_timeout(start, place):
    server = start(graceful_timeout=0.2)
    with busy(server, place):
        assert server.stop() == 0


@observes("drain_delay")
def drain_delay(start, place):
    server = start(drain_delay=300).ready(1)
    server.signal(signal.SIGTERM)
    server.said("stopping in 300 s")
    assert server.get()[0] == 200


@observes("boot_timeout")
def boot_timeout(start, place):
    (place / "slow.py").write_text("import time; time.sleep(60)")
    start(wsgi_app="slow:app", boot_timeout=1).said("not ready")


@observes("ready_path")
def ready_path(start, place):
    (place / "not_yet.py").write_text(
        "def app(environ, start_response):\n    start_response('404 Not Found', [])\n    return []\n"
    )
    server = start(wsgi_app="not_yet:app", ready_path="/healthz", boot_timeout=1)
    server.said("/healthz")


@observes("max_lifetime", "max_lifetime_jitter")
def max_lifetime(start, place):
    server = start(max_lifetime=1, max_lifetime_jitter=0.1).ready(1)
    endless = start(max_lifetime=1, max_lifetime_jitter=86400).ready(1)
    (worker,) = endless.workers()
    server.said("it has served for 1 s")
    server.ready(3)
    assert endless.workers() == {worker}


@observes("max_memory")
def max_memory(start, place):
    server = start(max_memory="256MiB").ready(1)
    assert server.get(f"/fill?{256 << 20}")[0] == 200
    server.said("its memory is")
    server.ready(2)


@observes("recycle_at_once")
def recycle_at_once(start, place):
    server = start(workers=2, threads=4, max_lifetime=1, recycle_at_once=2).ready(2)
    with contextlib.ExitStack() as stack:
        # Requests in both of them, so that no old one is gone before the other one's replacement is there.
        for _ in range(16):
            stack.enter_context(busy(server, place))
        wait_for(lambda: len(server.workers()) == 4, "two workers and both replacements")


@observes("pidfile")
def pidfile(start, place):
    server = start(pidfile="shop.pid").ready(1)
    assert int((place / "shop.pid").read_text()) == server.pid


@observes("proc_name")
def proc_name(start, place):
    server = start(proc_name="shop").ready(1)
    assert {Path(f"/proc/{pid}/comm").read_text() for pid in server.processes()} == {"shop\n"}


@observes("threads")
def threads(start, place):
    server = start(threads=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.url)) for _ in range(6)]
        for client in clients:
            client.request("/together")
        assert {client.read_response().body for client in clients} <= {b"1", b"2"}
    assert server.get("/together") == (200, "2")


@observes("queue_limit")
def queue_limit(start, place):
    server = start(threads=1, queue_limit=0)
    with busy(server, place):
        assert server.get()[0] == 503


@observes("queue_timeout")
def queue_timeout(start, place):
    server = start(threads=1, queue_timeout=0.1)
    with busy(server, place):
        assert server.get()[0] == 503


@observes("worker_connections")
def worker_connections(start, place):
    server = start(worker_connections=1)
    with Client(server.url) as first, Client(server.url) as second:
        assert first.get().status == 200
        assert second.get().status == 200
        assert first.is_closed()


@observes("keepalive")
def keepalive(start, place):
    with Client(start(keepalive=0).url) as client:
        assert client.get().closes


@observes("header_timeout", "body_timeout")
def head_and_body(start, place):
    server = start(header_timeout=0.1, body_timeout=0.2)
    for begun in (b"GET / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab"):
        with Client(server.url) as client:
            client.send(begun)
            assert client.read_response().status == 408


def cut_off(client: Client) -> bool:
    poll = select.poll()
    poll.register(client.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


@observes("send_timeout")
def send_timeout(start, place):
    server = start(send_timeout=0.2)
    with Client(server.url, receive_buffer=4096) as client:
        client.request("/large")
        wait_for(lambda: cut_off(client), "the peer that reads nothing to be cut off")


def sockets_of(pid: int) -> int:
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - names that may be gone
        with contextlib.suppress(FileNotFoundError):
            count += stat.S_ISSOCK(Path(f"/proc/{pid}/fd/{name}").stat().st_mode)
    return count


@observes("linger_timeout")
def linger_timeout(start, place):
    server = start(linger_timeout=0).ready(1)
    (worker,) = server.workers()
    before = sockets_of(worker)
    with Client(server.url) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read_response().status == 400
        begun = time.monotonic()
        wait_for(lambda: sockets_of(worker) == before, "the connection to be closed")
        assert time.monotonic() - begun < TABLE["linger_timeout"].default


@observes("timeout")
def timeout(start, place):
    assert start(timeout=0.2).get("/sleep?60")[0] == 504


@observes("limit_request_line", "limit_request_field_size", "limit_request_fields")
def limits(start, place):
    server = start(limit_request_line=128, limit_request_field_size=200, limit_request_fields=3)
    for target, headers, status in (
        ("/" + "x" * 100, ["X: " + "x" * 190, "Y: y"], 200),
        ("/" + "x" * 130, [], 414),
        ("/", ["X: " + "x" * 200], 431),
        ("/", ["X: x", "Y: y", "Z: z"], 431),
    ):
        with Client(server.url) as client:
            assert client.get(target, *headers).status == status


@observes("limit_request_head")
def limit_request_head(start, place):
    server = start(limit_request_head=512, limit_request_line=256, limit_request_field_size=256)
    with Client(server.url) as client:
        assert client.get("/", *(f"X-{number}: {'x' * 200}" for number in range(3))).status == 431


@observes("min_rate")
def min_rate(start, place):
    server = start(min_rate="1MiB", body_timeout=0.2)
    with Client(server.url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        client.socket.settimeout(0.05)
        for _ in range(100):  # five seconds of a body that never stands still
            client.send(b"x")
            with contextlib.suppress(TimeoutError):
                client.read_until(b"408")
                break
    server.said("sent a request too slowly: 408")


@observes("limit_request_body")
def limit_request_body(start, place):
    with Client(start(limit_request_body=10).url) as client:
        assert client.get(method="POST", body=b"x" * 11).status == 413


@observes("body_memory", "spool_dir")
def spool(start, place):
    (place / "bodies").mkdir()
    with Client(start(body_memory=10, tmp_upload_dir="bodies").url) as client:
        assert client.get("/spooled", method="POST", body=b"x" * 10).body == b""
        assert client.get("/spooled", method="POST", body=b"x" * 11).body.startswith(bytes(place / "bodies"))


@observes("buffer_memory")
def buffer_memory(start, place):
    (place / "bodies").mkdir()
    with Client(start(buffer_memory="64KiB", tmp_upload_dir="bodies").url) as client:
        assert client.get("/spooled", method="POST", body=b"x" * (16 << 10)).body == b""
        assert client.get("/spooled", method="POST", body=b"x" * (33 << 10)).body.startswith(bytes(place / "bodies"))


@observes("spool_limit")
def spool_limit(start, place):
    server = start(body_memory=0, spool_limit=1000)
    for size, status in ((1000, 200), (1001, 507)):
        with Client(server.url) as client:
            assert client.get(method="POST", body=b"x" * size).status == status


@observes("send_buffer")
def send_buffer(start, place):
    server = start(send_buffer="64MiB")
    with Client(server.url, receive_buffer=4096) as client:
        client.request("/stream")
        wait_for((place / "streamed").exists, "the application to be done although nobody reads")


@observes("max_requests", "max_requests_jitter")
def max_requests(start, place):
    server = start(max_requests=3).ready(1)
    for _ in range(3):
        assert server.get()[0] == 200
    server.ready(2)
    endless = start(max_requests=1, max_requests_jitter=10**9).ready(1)
    assert len({endless.get()[1] for _ in range(20)}) == 1


@observes("errorlog")
def errorlog(start, place):
    server = start(errorlog="error.log")
    wait_for((place / "error.log").exists, "the error log")
    wait_for(lambda: "is ready" in (place / "error.log").read_text(), "the worker to be ready")
    assert server.text == ""


@observes("loglevel")
def loglevel(start, place):
    server = start(loglevel="warning", bind=f"unix:{place}/shop.sock")

    def answered() -> bool:
        with (
            contextlib.suppress(FileNotFoundError, ConnectionRefusedError),
            Client(f"unix://{place}/shop.sock") as client,
        ):
            return client.get().status == 200
        return False

    wait_for(answered, "an answer")
    assert server.stop() == 0
    assert server.text == ""


@observes("accesslog", "access_log_format")
def accesslog(start, place):
    server = start(accesslog="access.log", access_log_format="%(m)s|%(U)s|%(s)s")
    assert server.get("/x")[0] == 200
    assert server.stop() == 0
    assert (place / "access.log").read_text() == "GET|/x|200\n"


@observes("log_format")
def log_format(start, place):
    server = start(log_format="json", accesslog="access.log")
    assert server.get("/x")[0] == 200
    assert server.stop() == 0
    assert json.loads((place / "access.log").read_text())["path"] == "/x"
    assert json.loads(server.lines[0])["level"] == "INFO"


@observes("request_id", "request_id_header")
def request_id(start, place):
    with Client(start(request_id=True, request_id_header="X-Trace").url) as client:
        assert client.get("/", "X-Trace: given").headers["x-trace"] == "given"


@observes("capture_output")
def capture_output(start, place):
    (place / "loud.py").write_text(
        "import os\nprint('printed')\nos.system('echo by a child >&2')\nfrom shop import app\n"
    )
    server = start(wsgi_app="loud:app", capture_output=True, errorlog="error.log")
    log = place / "error.log"
    wait_for(lambda: log.exists() and "is ready" in log.read_text(), "the worker")
    server.signal(signal.SIGINT)
    server.wait()
    assert {"printed", "by a child"} <= set(log.read_text().splitlines())
    assert server.text == server.output.read_text() == ""


@observes("logger_class")
def logger_class(start, place):
    (place / "mine.py").write_text(
        "from pronghorn.observe.logger import Logger\n"
        "class Mine(Logger):\n"
        "    def access(self, resp, req, environ, request_time):\n"
        "        self.info('%s was %s', req.path, resp.status)\n"
    )
    server = start(logger_class="mine.Mine")
    server.get("/x")
    server.said("/x was 200 OK")


CONSOLE = {"out": {"class": "logging.StreamHandler", "formatter": "mine", "stream": "ext://sys.stderr"}}
LOGCONFIG = {
    "version": 1,
    "formatters": {"mine": {"format": "mine: %(message)s"}},
    "handlers": CONSOLE,
    "root": {"handlers": ["out"]},
    "loggers": {name: {"level": "INFO", "propagate": True} for name in ("gunicorn.error", "gunicorn.access")},
}


@observes("logconfig_dict")
def logconfig_dict(start, place):
    server = start(logconfig_dict=LOGCONFIG)
    server.get("/x")
    server.said('mine: .*"GET /x HTTP/1.1" 200')


@observes("logconfig_json")
def logconfig_json(start, place):
    (place / "log.json").write_text(json.dumps(LOGCONFIG))
    start(logconfig_json="log.json").said("mine: .*is ready")


@observes("logconfig")
def logconfig(start, place):
    (place / "log.ini").write_text(
        "[loggers]\nkeys=root,errors\n[handlers]\nkeys=out\n[formatters]\nkeys=mine\n"
        "[formatter_mine]\nformat=mine: %(message)s\n"
        "[handler_out]\nclass=StreamHandler\nformatter=mine\nargs=(sys.stderr,)\n"
        "[logger_root]\nhandlers=out\n[logger_errors]\nqualname=gunicorn.error\nlevel=INFO\nhandlers=out\npropagate=0\n"
    )
    start(logconfig="log.ini").said("mine: .*is ready")


@observes("syslog", "syslog_addr", "syslog_prefix", "syslog_facility", "disable_redirect_access_to_syslog")
def syslog(start, place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{place}/log")
        listener.settimeout(20)
        settings = {"syslog": True, "syslog_addr": f"unix://{place}/log", "syslog_prefix": "shop"}
        # LOCAL7 is 23, INFO 6.
        server = start(**settings, syslog_facility="local7", disable_redirect_access_to_syslog=True).ready(1)
        server.get("/x")
        assert server.stop() == 0
        listener.setblocking(False)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(listener.recv(8192))
    assert all(one.startswith(b"<190>gunicorn.shop.error: [") for one in heard)
    assert any(b"is ready" in one for one in heard)


@observes("statsd_host", "statsd_prefix", "dogstatsd_tags")
def statsd(start, place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{place}/statsd")
        listener.settimeout(20)
        start(statsd_host=f"unix://{place}/statsd", statsd_prefix="shop", dogstatsd_tags="a:b")
        assert listener.recv(8192) == b"shop.gunicorn.workers:1|g|#a:b"


@observes("forwarded_allow_ips")
def forwarded_allow_ips(start, place):
    for allowed, scheme in (("10.9.9.9", b"http"), ("127.0.0.1,10.0.0.0/8", b"https"), ("*", b"https")):
        with Client(start(forwarded_allow_ips=allowed).url) as client:
            assert client.get("/scheme", "X-Forwarded-Proto: https").body == scheme


@observes("secure_scheme_headers")
def secure_scheme_headers(start, place):
    with Client(start(secure_scheme_headers={"X-SCHEME": "tls"}).url) as client:
        assert client.get("/scheme", "X-Scheme: tls").body == b"https"
        assert client.get("/scheme", "X-Forwarded-Proto: https").body == b"http"


@observes("forwarder_headers")
def forwarder_headers(start, place):
    with Client(start(forwarder_headers="SCRIPT_NAME,REMOTE_USER").url) as client:
        assert client.get("/shop/of?PATH_INFO", "SCRIPT_NAME: /shop").body == b"/of"
        assert client.get("/of?HTTP_REMOTE_USER", "REMOTE_USER: ada", "Remote-User: eve").body == b"ada"
        assert client.get("/of?HTTP_PATH_INFO", "PATH_INFO: /x").body == b"None"


@observes("header_map")
def header_map(start, place):
    for value, status in (("drop", 200), ("refuse", 400)):
        with Client(start(header_map=value).url) as client:
            assert client.get("/of?HTTP_A_B", "A_B: c").status == status


@observes("proxy_protocol", "proxy_allow_ips")
def proxy_protocol(start, place):
    line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    for mode, allowed, status in (
        ("off", "127.0.0.1", 400), (True, "127.0.0.1", 200), ("v1", "10.0.0.0/8", 400), ("auto", "127.0.0.0/8", 200),
    ):  # fmt: skip
        with Client(start(proxy_protocol=mode, proxy_allow_ips=allowed).url) as client:
            client.send(line)
            assert client.get("/of?REMOTE_ADDR").status == status


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


@observes("casefold_http_method")
def casefold_http_method(start, place):
    with Client(start(casefold_http_method=True).url) as client:
        assert client.get("/of?REQUEST_METHOD", method="post").body == b"POST"


def changed(server: Server, place: Path, name: str, text: str) -> None:
    (place / name).write_text(text)
    server.said(f"changed: {name}")


@observes("reload", "reload_engine", "reload_extra_files")
def reload(start, place):
    server = start(reload=True, reload_engine="poll", reload_extra_files=["*.html"]).ready(1)
    server.said("reload_engine poll")
    (place / "shop.py").write_text(APPLICATION.replace("the other", "the next"))
    server.ready(2)
    changed(server, place, "new.html", "")


FLASK = """\
from flask import Flask
shop = Flask(__name__)
shop.get("/boom")(lambda: 1 / 0)
"""


@observes("debug")
def debug(start, place):
    (place / "shop.py").write_text(FLASK)
    with Client(start(wsgi_app="shop.py", debug=True).url) as client:
        client.send(b"GET /boom HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"__debugger__" in client.read_response().body


@observes("unsafe")
def unsafe(start, place):
    server = start(debug=True, bind="0.0.0.0:0")
    assert server.wait() == 2
    server.said("debug does not listen on 0.0.0.0:0")
    assert start("--check-config", debug=True, unsafe=True, bind="0.0.0.0:0").wait() == 0

"""Loggers of the user's, as published configurations have them: classes, filters, and what a broken one does."""

import re
import signal
from pathlib import Path

import pytest
from tests.support.process import Server, run
from tests.support.raw import Client, wait_for

APP = """
import logging

def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken")
    if environ["PATH_INFO"] == "/level":
        logging.getLogger("gunicorn.error").warning("said by the application")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-It", "it")])
    return [b"hello"]
"""

CLASS = """
from pronghorn.observe.logger import Logger

class Quiet(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.error_log.info("set up for %s", cfg.accesslog)

    def access(self, resp, req, environ, request_time):
        if req.path != "/healthz":
            super().access(resp, req, environ, request_time)

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["host"] = dict(req.headers).get("HOST", "-")
        return atoms
"""
FORMAT = '%(h)s "%(r)s" %(s)s %(b)s %(host)s "%({x-it}o)s" "%({user-agent}i)s" %({server_protocol}e)s %(none)s'
LINE = '127.0.0.1 "GET /a?b HTTP/1.1" 200 5 test "it" "say \\"hi\\" \\xe9" HTTP/1.1 -\n'


@pytest.fixture
def place(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def configure(place: Path, text: str, **settings: object) -> None:
    settings = {"wsgi_app": "app:app", "workers": 1, "accesslog": "access.log"} | settings
    lines = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (place / "gunicorn.conf.py").write_text(text + "\n" + lines)


def ask(server: Server, place: Path) -> None:
    with Client(server.url) as client:
        assert client.get("/healthz").status == 200
        assert client.get("/a?b", 'User-Agent: say "hi" \xe9').status == 200
    wait_for(lambda: "/a" in (place / "access.log").read_text(), "the line")


@pytest.mark.parametrize("how", ["object", "name"])
def test_a_class_of_ones_own(place, how):
    if how == "name":
        (place / "quiet.py").write_text(CLASS)
    text = f"{CLASS}\nlogger_class = Quiet" if how == "object" else "logger_class = 'quiet.Quiet'"
    configure(place, text, access_log_format=FORMAT)
    with Server(place) as server:
        ask(server, place)
        server.said(r"\] \[INFO\] set up for \S+access\.log")
    assert (place / "access.log").read_text() == LINE


GUNICORN = next(iter(Path(__file__).parents[2].glob("build/gunicorn/lib/python3*/site-packages")), None)


@pytest.mark.skipif(GUNICORN is None, reason="Gunicorn is not installed beside: make faults GUNICORN=1")
@pytest.mark.parametrize("errorlog", ["-", "error.log"])
def test_a_class_made_from_gunicorns(place, errorlog):
    configure(
        place,
        CLASS.replace("pronghorn.observe.logger", "gunicorn.glogging") + "logger_class = Quiet",
        access_log_format=FORMAT, errorlog=errorlog,
    )  # fmt: skip
    with Server(place, PYTHONPATH=str(GUNICORN), bind=("127.0.0.1:0",)) as server:
        log = server.errors if errorlog == "-" else place / "error.log"
        text = lambda: log.read_text() if log.exists() else ""  # noqa: E731
        wait_for(lambda: "is ready" in text(), "the worker")
        url = re.search(r"http://[\d.]+:\d+", text())[0]
        with Client(url) as client:
            client.get("/healthz")
            client.get("/a?b", 'User-Agent: say "hi" x')
            assert client.get("/error").status == 500
            client.send(b"BAD\r\n\r\n")
            assert client.read_response().status == 400
        wait_for(lambda: "- - -" in (place / "access.log").read_text(), "the line of the refused request")
        assert f"set up for {place}/access.log" in text()
        assert text().count("Error handling request GET /error") == 1
        (place / "access.log").rename(place / "access.log.1")
        server.signal(signal.SIGUSR1)
        wait_for((place / "access.log").exists, "a new access log")
    lines = (place / "access.log.1").read_text().splitlines()
    assert lines[0] == '127.0.0.1 "GET /a?b HTTP/1.1" 200 5 test "it" "say \\"hi\\" x" HTTP/1.1 -'
    assert len(lines) == 3


def test_a_filter_on_the_access_log(place):
    """What a hook, or the file itself, does to the logger by Gunicorn's name is heeded."""
    text = """
import logging

class Health(logging.Filter):
    def filter(self, record):
        return "/healthz" not in record.getMessage()

logging.getLogger("gunicorn.access").addFilter(Health())
"""
    configure(place, text, access_log_format="%(m)s %(U)s %(s)s")
    with Server(place) as server:
        ask(server, place)
    assert (place / "access.log").read_text() == "GET /a 200\n"


def test_without_all_that_no_line_passes_through_python(place):
    configure(place, "", access_log_format="%(m)s %(U)s")
    (place / "sitecustomize.py").write_text(
        "import logging\nmake = logging.LogRecord.__init__\n"
        "def init(self, name, *more, **others):\n"
        "    make(self, name, *more, **others)\n    print(name)\n"
        "logging.LogRecord.__init__ = init\n"
    )
    with Server(place, PYTHONPATH=str(place)) as server:
        ask(server, place)
    names = set(server.output.read_text().split())
    assert "pronghorn.error" in names
    assert not any("access" in name for name in names)


def test_the_application_finds_the_error_log_by_gunicorns_name(place):
    """As in `app.logger.handlers = logging.getLogger("gunicorn.error").handlers`."""
    configure(place, "")
    (place / "app.py").write_text(
        "import logging\n"
        "theirs = logging.getLogger('gunicorn.error')\n"
        "mine = logging.getLogger('shop')\n"
        "mine.handlers = theirs.handlers\n"
        "mine.setLevel(theirs.level)\n"
        "mine.info('through their handlers')\n" + APP
    )
    with Server(place) as server:
        server.said(r"\[\d+\] \[INFO\] through their handlers")
        server.get("/level")
        server.said(r"\[WARNING\] said by the application")


BROKEN = """
from pronghorn.observe.logger import Logger

class Broken(Logger):
    def access(self, resp, req, environ, request_time):
        raise KeyError("no such atom")
logger_class = Broken
"""


def test_one_that_raises_breaks_no_request(place):
    configure(place, BROKEN)
    with Server(place) as server, Client(server.url) as client:
        for _ in range(3):
            assert client.get().body == b"hello"
        server.said("The logger's access failed", 3)
        server.said("KeyError: 'no such atom'", 3)


def test_one_that_waits_holds_nobody_else_up(place):
    text = """
import time
from pronghorn.observe.logger import Logger

class Slow(Logger):
    def access(self, resp, req, environ, request_time):
        if req.path == "/slow":
            open("waiting", "w").close()
            time.sleep(60)
logger_class = Slow
"""
    configure(place, text, graceful_timeout=0.2)
    with Server(place) as server, Client(server.url) as slow:
        assert slow.get("/slow").body == b"hello"  # it was sent before
        wait_for((place / "waiting").exists, "the logger to wait")
        assert server.get("/") == (200, "hello")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("logger_class = 'nowhere.Logger'", "logger_class: 'nowhere.Logger' cannot be imported: ModuleNotFoundError"),
        ("logger_class = 'app.app'", "logger_class: 'app.app' is no class"),
        ("logger_class = 'Logger'", "logger_class 'Logger' is not a class: write module.Class"),
        ("class L:\n    def __init__(self, cfg): cfg.nothing\nlogger_class = L",
         "logger_class: '__config__.L' raised AttributeError"),
        ("from gunicorn.glogging import Logger\nlogger_class = Logger", "No module named 'gunicorn'"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_is_one_clear_line(place, text, said):
    configure(place, text)
    result = run(place, "--bind", "127.0.0.1:0")
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reload_with_another_class(place):
    (place / "quiet.py").write_text(CLASS)
    configure(place, "")
    with Server(place).ready(1) as server:
        configure(place, "logger_class = 'quiet.Quiet'", access_log_format="%(U)s %(host)s")
        server.signal(signal.SIGHUP)
        server.said("set up for", 2)  # the new worker, and then the arbiter

        def asked():
            with Client(server.url) as client:
                if client.get("/healthz").closes:
                    return False  # the worker that leaves
                client.get("/after")
            return "/after test\n" in (place / "access.log").read_text()

        wait_for(asked, "a line of the new class")


def test_metrics_of_the_applications_own(place):
    import socket

    text = """
from pronghorn.observe.logger import Logger

class Measuring(Logger):
    def access(self, resp, req, environ, request_time):
        self.info("", extra={"metric": "shop.visits", "value": 3, "mtype": "counter"})
        self.debug("not said", extra={"metric": "shop.depth", "value": 4, "mtype": "gauge"})
logger_class = Measuring
"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"{place}/statsd")
        listener.settimeout(20)
        configure(place, text, statsd_host=f"unix://{place}/statsd")
        with Server(place) as server:
            server.get()
            heard = b""
            while b"shop.depth:4|g" not in heard:
                heard += listener.recv(8192) + b"\n"
    assert b"shop.visits:3|c|@1.0\n" in heard

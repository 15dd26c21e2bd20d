"""What `LogOptions` decide: logs, ids of requests and metrics."""

import contextlib
import json
import signal
import socket

from tests.settings.observers.registry import observes
from tests.support.raw import Client, wait_for


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

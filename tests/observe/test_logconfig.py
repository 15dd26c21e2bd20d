"""Configurations of `logging` as they are published for Gunicorn: what is written where, and what a wrong one says."""

import json
import re
import signal
from pathlib import Path

import pytest
from tests.support.process import Server, run
from tests.support.raw import Client, wait_for

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken")
    start_response("200 OK", [])
    return [b"hello"]
"""

DICT = {
    "version": 1,
    "disable_existing_loggers": True,
    "root": {"level": "WARNING", "handlers": []},
    "formatters": {
        "plain": {"format": "%(name)s %(levelname)s %(message)s"},
        "access": {"format": "ACCESS %(message)s"},
    },
    "handlers": {
        "errors": {"class": "logging.FileHandler", "filename": "all.log", "formatter": "plain"},
        "access": {"class": "logging.FileHandler", "filename": "seen.log", "formatter": "access"},
    },
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["errors"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}

INI = """\
[loggers]
keys=root, errors, access

[handlers]
keys=errors, access

[formatters]
keys=plain, access

[logger_root]
level=WARNING
handlers=

[logger_errors]
level=INFO
handlers=errors
propagate=0
qualname=gunicorn.error

[logger_access]
level=INFO
handlers=access
propagate=0
qualname=gunicorn.access

[handler_errors]
class=logging.FileHandler
formatter=plain
args=('%(here)s/all.log',)

[handler_access]
class=logging.FileHandler
formatter=access
args=('%(here)s/seen.log',)

[formatter_plain]
format=%(name)s %(levelname)s %(message)s

[formatter_access]
format=ACCESS %(message)s
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def configure(place: Path, text: str = "", **settings: object) -> None:
    settings = {"wsgi_app": "app:app", "workers": 1, "access_log_format": "%(m)s %(U)s"} | settings
    lines = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (place / "gunicorn.conf.py").write_text(text + "\n" + lines)


def pronghorns(config: dict) -> dict:
    return json.loads(json.dumps(config).replace("gunicorn.", "pronghorn."))


@pytest.mark.parametrize("form", ["dict", "json", "ini", "our names", "command line"])
def test_the_three_forms(place, form):
    arguments = ()
    if form == "json":
        (place / "log.json").write_text(json.dumps(DICT))
        configure(place, logconfig_json="log.json")
    elif form == "ini":
        (place / "log.ini").write_text(INI)
        configure(place, logconfig="log.ini")
    elif form == "command line":
        configure(place)
        arguments = ("--logconfig-dict", json.dumps(DICT))
    else:
        configure(place, logconfig_dict=DICT if form == "dict" else pronghorns(DICT))
    name = "pronghorn" if form == "our names" else "gunicorn"
    with Server(place, *arguments) as server:
        errors, seen = place / "all.log", place / "seen.log"
        wait_for(lambda: errors.exists() and "is ready" in errors.read_text(), "the worker")
        url = re.search(r"http://[\d.]+:\d+", errors.read_text())[0]
        with Client(url) as client:
            client.get("/first")
            assert client.get("/error").status == 500
            client.send(b"BAD\r\n\r\n")
            client.read_response()
        wait_for(lambda: seen.read_text().count("\n") == 3, "three lines")
        assert server.text == ""
        seen.rename(place / "seen.log.1")
        server.signal(signal.SIGUSR1)
        wait_for(seen.exists, "a new access log")

        def asked():
            with Client(url) as client:
                client.get("/after")
            return "/after" in seen.read_text()

        wait_for(asked, "the worker to write to it")
    assert (place / "seen.log.1").read_text().startswith("ACCESS GET /first\nACCESS GET /error\nACCESS - -\n")
    assert f"\n{name}.error ERROR Error handling request GET /error\nTraceback" in errors.read_text()


def test_what_is_not_said_is_as_with_gunicorn(place):
    """Without loggers of its own Gunicorn's are configured, and what they get the root's console gets once more."""
    configure(place, logconfig_dict={"formatters": {"generic": {"format": "%(levelname)s: %(message)s"}}})
    with Server(place) as server:
        server.said("INFO: .*is ready")
        url = server.said(r"listening on (http://[\d.]+:\d+)")[0]
        with Client(url) as client:
            client.get("/x")
        wait_for(lambda: server.output.read_text().count("INFO: GET /x\n") == 2, "the line, twice")
        assert re.search(r"^INFO: .*is ready", server.output.read_text(), re.MULTILINE)


def test_objects_in_a_python_file(place):
    text = """
import logging, sys

class Mark(logging.Filter):
    def filter(self, record):
        record.msg = "marked " + record.msg
        return True

logconfig_dict = {
    "version": 1,
    "root": {"handlers": ["out"]},
    "filters": {"mark": {"()": Mark}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": sys.stdout, "filters": ["mark"]}},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": False}},
}
"""
    configure(place, text)
    with Server(place) as server:
        wait_for(lambda: re.search(r"^marked .*is ready", server.output.read_text(), re.MULTILINE), "a marked line")
        server.signal(signal.SIGHUP)
        wait_for(lambda: server.output.read_text().count("is ready") == 2, "the reload")
        assert server.text == ""


def test_a_request_id_in_a_formatter_of_ones_own(place):
    config = {
        "root": {"handlers": []},
        "filters": {"id": {"()": "pronghorn.observe.logger.RequestId"}},
        "formatters": {"plain": {"format": "%(request_id)s|%(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "filters": ["id"], "formatter": "plain"}},
        "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": False}},
    }
    configure(place, logconfig_dict=config, request_id=True)
    with Server(place) as server:
        server.said(r"-\|.*is ready")
        url = server.said(r"listening on (http://[\d.]+:\d+)")[0]
        with Client(url) as client:
            client.get("/error", "X-Request-ID: mine")
        server.said(r"mine\|Error handling request")


def test_a_handler_that_raises_breaks_nothing(place):
    (place / "broken.py").write_text(
        "import logging\n"
        "class Handler(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        raise OSError('the collector is gone')\n"
    )
    config = {
        "root": {"handlers": []},
        "handlers": {"broken": {"class": "broken.Handler"}},
        "loggers": {
            name: {"level": "INFO", "handlers": ["broken"], "propagate": False}
            for name in ("gunicorn.error", "gunicorn.access")
        },
    }
    configure(place, logconfig_dict=config, bind=f"unix:{place}/shop.sock")
    with Server(place, bind=()) as server:
        server.said(r"a log handler raised OSError: the collector is gone; the record was: .*is ready")
        with Client(f"unix:{place}/shop.sock") as client:
            assert client.get("/error").status == 500
            assert client.get("/").body == b"hello"
        server.said("the record was: Error handling request")
        server.said("the record was: A request could not be written to the access log")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"logconfig": "none.ini"}, r"logconfig: \S+none\.ini: there is no such file"),
        ({"logconfig_json": "none.json"}, r"logconfig_json: \S+none\.json: FileNotFoundError"),
        ({"logconfig_json": "app.py"}, r"logconfig_json: \S+app\.py: JSONDecodeError"),
        ({"logconfig_dict": {"loggers": {"gunicorn.error": {"handlers": ["none"]}}}},
         r"logconfig_dict: ValueError: Unable to configure logger 'gunicorn\.error'; .*KeyError: 'none'"),
        ({"logconfig_dict": {"handlers": {"x": {"class": "no.Such"}}}}, r"logconfig_dict: ValueError: .*No module"),
        # The defaults' root wants a console, as with Gunicorn.
        ({"logconfig_dict": {"handlers": {}}}, r"logconfig_dict: ValueError: .*'error_console'"),
        ({"logconfig_dict": 3}, r"gunicorn\.conf\.py:\d+: logconfig_dict must be a table, not 3"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_one_clear_line(place, settings, said):
    configure(place, **settings)
    result = run(place, "--bind", "127.0.0.1:0")
    assert result.returncode == 2
    assert re.search(said, result.stderr)
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_an_object_without_a_name_is_named(place):
    configure(place, "import logging\nlogconfig_dict = {'handlers': {'x': {'stream': open('app.py')}}}")
    result = run(place, "--check-config")
    assert result.returncode == 2
    assert "gunicorn.conf.py:2: logconfig_dict.handlers.x.stream is <_io.TextIOWrapper" in result.stderr
    assert "which has no name; name what it is, as in 'ext://module.attribute'" in result.stderr


def test_a_reload_with_a_wrong_one_keeps_the_old(place):
    configure(place)
    with Server(place).ready(1) as server:
        configure(place, logconfig="none.ini")
        server.signal(signal.SIGHUP)
        server.said(r"logconfig: \S+none\.ini: there is no such file")
        assert server.get() == (200, "hello")

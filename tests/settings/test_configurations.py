"""Gunicorn's configuration files as they are found in the field: each loads, with the values Gunicorn would take."""

from pathlib import Path

import pytest
from tests.support.process import SCRIPT, Server, run

from pronghorn.errors import SettingsError
from pronghorn.settings import Given, Loaded, load
from pronghorn.settings.gunicorn import END_TLS, NO_TLS
from pronghorn.settings.python_file import NEEDS_GUNICORN

APPLICATION = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"served"]
"""

DOCKER = """\
import json
import multiprocessing
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
if max_workers_str:
    use_max_workers = int(max_workers_str)
web_concurrency_str = os.getenv("WEB_CONCURRENCY", None)

host = os.getenv("HOST", "0.0.0.0")
port = os.getenv("NO_SUCH_PORT", "80")
bind_env = os.getenv("BIND", None)
use_loglevel = os.getenv("LOG_LEVEL", "info")
if bind_env:
    use_bind = bind_env
else:
    use_bind = f"{host}:{port}"

cores = multiprocessing.cpu_count()
if web_concurrency_str:
    web_concurrency = int(web_concurrency_str)
else:
    web_concurrency = max(int(float(workers_per_core_str) * cores), 2)
    if use_max_workers:
        web_concurrency = min(web_concurrency, use_max_workers)
accesslog_var = os.getenv("ACCESS_LOG", "-")
use_accesslog = accesslog_var or None

# Gunicorn config variables
loglevel = use_loglevel
workers = web_concurrency
bind = use_bind
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(os.getenv("GRACEFUL_TIMEOUT", "120"))

log_data = {"workers": workers, "host": host, "port": port}
print(json.dumps(log_data))
"""

GEVENT = """\
from datetime import datetime as dt, timedelta

wsgi_app = "shop:app"
worker_class = "gevent"
worker_connections = 100
timeout = 0
keepalive = 5

def post_fork(server, worker):
    from psycogreen.gevent import patch_psycopg
    patch_psycopg()
    worker.log.info("made psycopg green")
"""

LOGGING = """\
import logging, logging.config, sys

wsgi_app = "shop:app"
logconfig_dict = dict(version=1, disable_existing_loggers=False, root={"level": "INFO", "handlers": ["console"]})
access_log_format = '{"remote_ip":"%(h)s","time":"%(t)s"}'
statsd_host = "localhost:8125"
statsd_prefix = ""

class HealthFilter(logging.Filter):
    def filter(self, record):
        return "/healthz" not in record.getMessage()

def on_starting(server):
    server.log.access_log.addFilter(HealthFilter())

def when_ready(server):
    open("/tmp/app-initialized", "w").close()

pre_request = "shop_hooks.pre_request"
"""

EXAMPLE = """\
# every setting of the example that Gunicorn ships, as it stands there
wsgi_app = "shop:app"
bind = "127.0.0.1:8000"
backlog = 2048
workers = 1
worker_class = "sync"
worker_connections = 1000
timeout = 30
keepalive = 2
spew = False
daemon = False
raw_env = ["DJANGO_SECRET_KEY=something", "SPAM=eggs"]
pidfile = None
umask = 0
user = None
group = None
tmp_upload_dir = None
errorlog = "-"
loglevel = "INFO"
accesslog = None
proc_name = None
certfile = None
keyfile = None
reload = False
sendfile = None
proxy_protocol = False
limit_request_line = 0
limit_request_fields = 0
limit_request_field_size = 0
chdir = ""
pythonpath = None
preload_app = "True"
max_requests = "1000"
secure_scheme_headers = {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}
forwarded_allow_ips = "*"
logger_class = "gunicorn.glogging.Logger"

def worker_int(worker):
    import threading, sys, traceback
"""


def loaded(place: Path, text: str) -> Loaded:
    (place / "gunicorn.conf.py").write_text(text)
    return load([], {}, place)


def told(result: Loaded) -> list[str]:
    """Which names the warnings are about."""
    return [warning.split(": ")[1].split()[0] for warning in result.warnings]


def test_a_file_for_containers(tmp_path, capsys):
    config = Given("config", str(write(tmp_path, DOCKER)), "--config")
    result = load([Given("app", "shop:app", "-")], {}, tmp_path, config=config)
    assert result.settings.network.bind == ("0.0.0.0:80",)
    assert result.settings.fleet.workers >= 2
    assert result.settings.fleet.graceful_timeout == 120
    assert result.settings.logs.accesslog == "-"
    assert told(result) == ["worker_tmp_dir"]
    assert '"port": "80"' in capsys.readouterr().out


def write(place: Path, text: str) -> Path:
    (place / "conf.py").write_text(text)
    return place / "conf.py"


def test_a_file_for_gevent(tmp_path):
    result = loaded(tmp_path, GEVENT)
    assert told(result) == []
    assert result.settings.fleet.worker_class == "gevent"
    assert (result.settings.engine.timeout, result.settings.engine.worker_connections) == (0, 100)
    (hook,) = result.hooks
    assert (hook.name, hook.origin) == ("post_fork", "gunicorn.conf.py:9")
    assert callable(hook.function)


def test_a_file_about_logs(tmp_path):
    (tmp_path / "shop_hooks.py").write_text("def pre_request(worker, req): ...\n")
    result = loaded(tmp_path, LOGGING)
    assert told(result) == []
    assert result.settings.logs.logconfig_dict["root"]["handlers"] == ["console"]
    assert {hook.name for hook in result.hooks} == {"on_starting", "when_ready", "pre_request"}


def test_the_file_that_sets_everything(tmp_path):
    result = loaded(tmp_path, EXAMPLE)
    assert told(result) == []
    assert [hook.name for hook in result.hooks] == ["worker_int"]
    assert result.settings.logs.loglevel == "info"
    assert result.settings.app.preload_app
    assert result.settings.app.chdir is None
    assert result.settings.engine.max_requests == 1000
    assert result.settings.engine.limit_request_line == result.settings.engine.limit_request_head
    assert result.settings.engine.limit_request_field_size == result.settings.engine.limit_request_head
    assert result.settings.engine.limit_request_fields == 32768
    assert result.settings.trust.forwarded_allow_ips == ("*",)


CLASS = """\
class SyncWorker:
    __module__ = "gunicorn.workers.sync"
worker_class = SyncWorker
"""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("workers", "workers = '4'", 4),
        ("bind", "bind = ['127.0.0.1:1', ':2']", ("127.0.0.1:1", ":2")),
        ("bind", "bind = ':1,:2'", (":1", ":2")),
        ("bind", "import os\nbind = os.environ.get('NO_SUCH_BIND')", ("127.0.0.1:8000",)),
        ("accesslog", "accesslog = ''", None),
        ("pidfile", "pidfile = ''", None),
        ("loglevel", "loglevel = 'WARNING'", "warning"),
        ("worker_class", "worker_class = 'gunicorn.workers.gthread.ThreadWorker'", "gthread"),
        ("worker_class", CLASS, "sync"),
        ("preload_app", "preload_app = None", False),
        ("timeout", "timeout = 0", 0),
        ("app", "app = lambda environ, start_response: []", ""),
        ("chdir", "from os.path import abspath\nchdir = abspath('.')", str(Path.cwd())),
    ],
)  # fmt: skip
def test_values_of_looser_types(tmp_path, name, text, value):
    (tmp_path / "gunicorn.conf.py").write_text(text)
    result = load([], {}, tmp_path, needs_app=False)
    values = {key: getattr(subject, key) for subject in subjects(result) for key in subject.__struct_fields__}
    assert values[name] == value
    assert result.warnings == ()


def subjects(result: Loaded) -> list:
    return [getattr(result.settings, name) for name in result.settings.__struct_fields__]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("from gunicorn import glogging", "1: ModuleNotFoundError: No module named 'gunicorn'" + NEEDS_GUNICORN),
        ("import sys\nsys.exit('no database')", "2: SystemExit: no database"),
        ("open('/none')", "1: No such file or directory"),
        ("raise KeyError('SECRET')", "1: KeyError: 'SECRET'"),
        ("certfile = '/etc/cert.pem'", f"1: certfile is not supported: {NO_TLS}; {END_TLS}"),
        ("x = 1\nbind = []", "2: bind is empty; name an address such as 127.0.0.1:8000"),
        ("worker_class = 'x.asgi.W'",
         "1: worker_class 'x.asgi.W' is for ASGI applications, which this version does not serve"),
    ],
)  # fmt: skip
def test_one_clear_line_for_what_does_not_work(tmp_path, text, problem):
    (tmp_path / "gunicorn.conf.py").write_text(text + "\n")
    with pytest.raises(SettingsError) as caught:
        load([], {}, tmp_path, needs_app=False)
    assert caught.value.problems == (f"gunicorn.conf.py:{problem}",)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "shop.py").write_text(APPLICATION)
    package = tmp_path / "settings"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text('threads = 3\nbind = "127.0.0.1:0"\n')
    (package / "production.py").write_text("from .base import *\nfrom neighbour import number\nworkers = number\n")
    (tmp_path / "neighbour.py").write_text("number = 1\n")
    return tmp_path


@pytest.mark.parametrize("config", ["python:settings.production", "file:conf.py", "conf.py", "{}/conf.py"])
def test_the_ways_to_name_a_configuration(place, config):
    (place / "conf.py").write_text("from settings.production import *\n")
    with Server(place, "-c", config.format(place), "shop:app", command=SCRIPT, bind=()) as server:
        assert server.ready(1).get() == (200, "served")
        assert "3 threads, arbiter" in server.text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("python:nothing.here", "python:nothing.here: ModuleNotFoundError: No module named 'nothing'"),
        ("python:nothing", "python:nothing: there is no module nothing on the import path"),
        ("python:broken", "python:broken:2: ZeroDivisionError"),
        ("nothing.py", "--config: nothing.py: No such file or directory"),
        ("settings", "settings: Is a directory"),
    ],
)
def test_a_configuration_that_cannot_be_read(place, config, words):
    (place / "broken.py").write_text("\n1 / 0\n")
    result = run(place, "--print-config", "-c", config)
    assert result.returncode == 2
    assert result.stderr.startswith(f"pronghorn: {words}")
    assert result.stderr.count("\n") == 1


def test_gunicorns_order(place):
    (place / "gunicorn.conf.py").write_text("workers = 2\nthreads = 3\ntimeout = 4\nkeepalive = 5\n")
    environ = {"WEB_CONCURRENCY": "9", "GUNICORN_CMD_ARGS": "--threads 6 --timeout 7"}
    shown = run(place, "--print-config", "--timeout", "8", "shop:app", **environ).stdout
    values = dict(line.partition("#")[0].strip().split(" = ") for line in shown.splitlines() if " = " in line)
    assert [values[name] for name in ("workers", "threads", "timeout", "keepalive")] == ["2", "6", "8", "5"]


def test_a_check_in_the_environment_is_heeded(place):
    result = run(place, "shop:app", GUNICORN_CMD_ARGS="--check-config")
    assert (result.returncode, result.stdout) == (0, "The settings are right, and shop:app can be served.\n")


@pytest.mark.parametrize("arguments", [["--error-log", "-"], ["--worker-con", "9"], ["--check", "-w2"], ["--pid=x"]])
def test_gunicorns_abbreviations(place, arguments):
    assert run(place, "--print-config", *arguments, "shop:app").returncode == 0


@pytest.mark.parametrize("argument", ["--worker", "--log", "--timeou t", "--queue-t", "--reloa d"])
def test_what_is_no_abbreviation_there_is_none_here(place, argument):
    result = run(place, "--print-config", argument, "1", "shop:app")
    assert result.returncode == 2
    assert result.stderr.startswith(f"pronghorn: {argument}: there is no such option.")


def test_the_command_lines_of_the_field(place):
    for arguments in (
        ["--bind", "127.0.0.1:0", "shop:app"],
        ["--workers", "3", "-b", "127.0.0.1:0", "shop:app"],
        ["--workers", "2", "--worker-class", "gevent", "-b", "127.0.0.1:0", "shop:app"],
        ["--workers", "2", "--worker-connections", "1000", "--timeout", "30", "--bind", "127.0.0.1:0",
         "--access-logfile", "-", "--error-logfile", "-", "shop:app"],
    ):  # fmt: skip
        with Server(place, *arguments, bind=()) as server:
            assert server.get() == (200, "served")
            assert server.stop() == 0

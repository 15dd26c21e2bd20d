"""What published configurations do in their hooks."""

import contextlib
import http.client
import os
import signal
import sqlite3

import pytest
from tests.support.raw import Client, wait_for

CONF = "gunicorn.conf.py"

METRICS = """
import glob, os

def on_starting(server):
    os.makedirs("metrics", exist_ok=True)
    for left in glob.glob("metrics/*.db"):
        os.unlink(left)

def post_fork(server, worker):
    open(f"metrics/gauge_live_{worker.pid}.db", "w").close()

def child_exit(server, worker):
    # As prometheus_client.multiprocess.mark_process_dead(worker.pid) does.
    for left in glob.glob(f"metrics/gauge_live*_{worker.pid}.db"):
        os.unlink(left)
"""


def test_metrics_of_dead_workers_are_removed(start, place):
    (place / CONF).write_text(METRICS)
    folder = place / "metrics"
    folder.mkdir()
    (folder / "gauge_live_1.db").touch()

    def files():
        return {int(path.stem.rpartition("_")[2]) for path in folder.iterdir()}

    server = start("--workers", "2", "app:app").ready(2)
    assert files() == server.workers()
    os.kill(min(server.workers()), signal.SIGKILL)
    server.ready(3)
    assert files() == server.workers()
    server.signal(signal.SIGHUP)
    server.ready(5)
    wait_for(lambda: files() == server.workers() and len(server.workers()) == 2, "the old workers to go")
    assert server.stop() == 0
    assert files() == set()


POOLED = """
import os, sqlite3

class Engine:
    def __init__(self):
        self.connections = {}
    def connect(self):
        return self.connections.setdefault("one", (os.getpid(), sqlite3.connect("shop.db", check_same_thread=False)))
    def dispose(self):
        self.connections.clear()

engine = Engine()
engine.connect()[1].execute("SELECT 1")

def app(environ, start_response):
    owner, connection = engine.connect()
    (name,) = connection.execute("SELECT name FROM things").fetchone()
    start_response("200 OK", [])
    return [f"{owner} {os.getpid()} {name}".encode()]
"""


def test_connections_of_a_preloaded_application_are_disposed_of(start, place):
    with sqlite3.connect(place / "shop.db") as database:
        database.execute("CREATE TABLE things (name)")
        database.execute("INSERT INTO things VALUES ('chair')")
    (place / "shop.py").write_text(POOLED)
    (place / CONF).write_text(
        "preload_app = True\ndef post_fork(server, worker):\n    from shop import engine\n    engine.dispose()\n"
    )
    server = start("--workers", "2", "shop:app").ready(2)
    for _ in range(5):
        owner, worker, name = server.get()[1].split()
        assert (owner == worker, name) == (True, "chair")


STACKS = """
def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")
    import threading, sys, traceback
    id2name = {thread.ident: thread.name for thread in threading.enumerate()}
    code = []
    for ident, stack in sys._current_frames().items():
        code.append(f"# Thread: {id2name.get(ident, '')}({ident})")
        code += [f"{name}:{number} in {function}" for name, number, function, _ in traceback.extract_stack(stack)]
    worker.log.info("stacks\\n%s", "\\n".join(code))

def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGABRT])
def test_stacks_of_all_threads_are_shown(start, place, number):
    (place / CONF).write_text(STACKS)
    server = start("--workers", "1", "app:app").ready(1)
    (worker,) = server.workers()
    server.get("/")

    with contextlib.closing(http.client.HTTPConnection(*server.address)) as connection:
        connection.request("GET", "/sleep/60")
        wait_for((place / "inside").exists, "the request")
        os.kill(worker, number)
        server.ready(2)
    if number == signal.SIGINT:
        server.said("worker received INT or QUIT signal")
        server.said(r"app\.py:\d+ in app")
    else:
        server.said("worker received SIGABRT signal")
        server.said(r'app\.py", line \d+ in app')


def test_a_file_says_that_the_server_is_there(start, place):
    there = place / "app-initialized"
    (place / CONF).write_text(
        f"import os\ndef when_ready(server):\n    open({str(there)!r}, 'w').close()\n"
        f"def on_exit(server):\n    os.unlink({str(there)!r})\n"
    )
    server = start("--workers", "1", "app:app").ready(1)
    assert there.exists()
    assert server.stop() == 0
    assert not there.exists()


AGENT = """
registered = []

def wrap(application):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Traced", str(len(registered)))], exc_info)
        return application(environ, start)
    return wrapped
"""


def test_an_agent_is_imported_in_each_worker(start, place):
    (place / "agent.py").write_text(AGENT)
    (place / CONF).write_text(
        "def post_fork(server, worker):\n    import agent\n    agent.registered.append(worker.pid)\n"
        "def post_worker_init(worker):\n    import agent\n    worker.wsgi = agent.wrap(worker.wsgi)\n"
    )
    server = start("--workers", "1", "app:app").ready(1)
    with Client(server.url) as client:
        assert client.get().headers["x-traced"] == "1"


def test_a_thread_that_the_arbiter_starts(start, place):
    (place / CONF).write_text(
        "import threading, time\n"
        "def tick(server):\n    while True:\n        server.log.info('tick')\n        time.sleep(0.05)\n"
        "def when_ready(server):\n    threading.Thread(target=tick, args=(server,), daemon=True).start()\n"
    )
    server = start("--workers", "2", "app:app").ready(2)
    server.said("tick", 3)
    server.signal(signal.SIGHUP)
    server.ready(4)
    assert server.get()[0] == 200
    assert server.stop() == 0

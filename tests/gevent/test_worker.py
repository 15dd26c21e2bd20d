"""The gevent worker as a process: what is patched when; signals, reloads and deaths are what they always are."""

import concurrent.futures
import os
import re
import signal
import time

import pytest
from tests.support.process import Server
from tests.support.raw import Client, wait_for

APP = """
import os, socket, subprocess, threading, time, urllib.request
from time import sleep

beats = []

def beat():
    while True:
        time.sleep(0.02)
        beats.append(1)

threading.Thread(target=beat, daemon=True).start()
IMPORTED_BY = os.getpid()

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"hello"
    if path == "/sleep":
        sleep(0.5)
    elif path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/imported":
        body = str(IMPORTED_BY == os.getpid()).encode()
    elif path == "/beats":
        body = str(len(beats)).encode()
    elif path == "/child":
        body = subprocess.run(["echo", "child"], capture_output=True, check=True).stdout
    elif path == "/itself":
        body = urllib.request.urlopen("http://%s/sleep" % environ["HTTP_HOST"]).read()
    elif path == "/multithread":
        body = str(environ["wsgi.multithread"]).encode()
    elif path == "/compute":
        while True:
            pass
    elif path == "/late":
        time.sleep(60)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""

PATCHES = "from gevent import monkey\nmonkey.patch_all()\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_the_standard_library_waits_for_others(folder):
    with Server(folder, "-k", "gevent", "-w", "1", "app:app").ready(1) as server:
        assert "1 worker × 1000 greenlets" in server.text  # noqa: RUF001
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(50) as clients:
            answers = list(clients.map(server.get, ["/sleep"] * 50))
        assert answers == [(200, "hello")] * 50
        assert time.monotonic() - began < 0.5 * 50 / 5, "they ran one after another"
        assert server.get("/itself") == (200, "hello")
        assert server.get("/child") == (200, "child\n")
        assert server.get("/multithread") == (200, "True")
        wait_for(lambda: int(server.get("/beats")[1]) > 3, "the application's own thread, a greenlet, to run")


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_stops(folder, order):
    with Server(folder, "-k", "gevent", "-w", "1", "app:app").ready(1) as server:
        with Client(server.url) as client, Client(server.url) as idle:
            assert idle.get().body == b"hello"
            client.request("/sleep")
            wait_for(lambda: int(server.get("/beats")[1]), "the worker to be at it")
            server.signal(order)
            if order == signal.SIGTERM:
                response = client.read_response()
                assert response.body == b"hello"
                assert response.closes
            assert idle.is_closed()
        assert server.wait() == 0


def test_a_drain_that_takes_too_long_cuts_the_greenlets_off(folder):
    arguments = ["-k", "gevent", "-w", "1", "--graceful-timeout", "0.5s", "app:app"]
    with Server(folder, *arguments).ready(1) as server, Client(server.url) as client:
        client.request("/late")
        wait_for(lambda: int(server.get("/beats")[1]), "the worker to be at it")
        assert server.stop() == 0
        assert client.is_closed()
        assert re.search(r"no more time to drain and cuts off 1: GET /late, \d", server.text)


def test_a_delayed_drain(folder):
    with Server(folder, "-k", "gevent", "-w", "2", "--drain-delay", "0.5s", "app:app").ready(2) as server:
        server.signal(signal.SIGTERM)
        server.said(r"stopping in 0.5 s \(drain_delay\)")
        assert server.get() == (200, "hello")
        with Client(server.url) as client:
            client.request("/sleep")
            assert client.read_response().body == b"hello"
        assert server.wait() == 0


def test_an_upgrade(folder):
    with Server(folder, "-k", "gevent", "-w", "1", "app:app").ready(1) as server:
        before = server.get("/pid")[1]
        with Client(server.url) as client:
            client.request("/sleep")
            wait_for(lambda: int(server.get("/beats")[1]), "the worker to be at it")
            server.signal(signal.SIGUSR2)
            assert client.read_response().body == b"hello"
        server.said("has left")
        status, after = server.get("/pid")
        assert status == 200
        assert after != before


def test_a_reload_replaces_the_workers_without_a_gap(folder):
    with Server(folder, "-k", "gevent", "-w", "2", "app:app").ready(2) as server:
        before = server.workers()
        with Client(server.url) as client:
            client.request("/sleep")
            server.signal(signal.SIGHUP)
            assert client.read_response().body == b"hello"
        server.ready(4)
        wait_for(lambda: not server.workers() & before, "the old workers to leave")
        assert server.get()[0] == 200


def test_a_dead_worker_is_replaced_and_workers_are_recycled(folder):
    with Server(folder, "-k", "gevent", "-w", "1", "--max-requests", "5", "app:app").ready(1) as server:
        os.kill(int(server.get("/pid")[1]), signal.SIGKILL)
        server.ready(2)
        pids = {server.get("/pid")[1] for _ in range(5)}
        server.ready(3)
        wait_for(lambda: server.get("/pid")[1] not in pids, "the fresh worker to answer")


def test_workers_that_are_old_are_replaced_one_by_one(folder):
    with Server(folder, "-k", "gevent", "-w", "2", "--max-lifetime", "1s", "app:app").ready(2) as server:
        before = server.workers()
        server.said("asks to be replaced: it has served for", 2)
        wait_for(lambda: not server.workers() & before, "the old workers to leave")
        assert server.get() == (200, "hello")


def test_a_late_request(folder):
    arguments = ["-k", "gevent", "-w", "1", "--timeout", "1", "--access-logfile", "access", "app:app"]
    with Server(folder, *arguments).ready(1) as server:
        pid = server.get("/pid")
        assert server.get("/late")[0] == 504
        assert "time.sleep(60)" in server.said(r"time\.sleep\(60\)")[0] + server.text
        assert server.get("/pid") == pid
        wait_for(lambda: re.search(r"504", (folder / "access").read_text()), "the line of the access log")


def test_a_worker_whose_handler_never_yields_is_replaced(folder):
    with Server(folder, "-k", "gevent", "-w", "1", "--timeout", "1", "app:app").ready(1) as server:
        with Client(server.url) as client:
            client.request("/compute")
            server.said("shows no life")
            server.ready(2)
        assert server.get() == (200, "hello")


@pytest.mark.parametrize("patched_by", ["the worker class", "the settings file"])
def test_preloading(folder, patched_by):
    """The application is imported patched, in the arbiter; the arbiter forks, waits and reaps as it always does."""
    settings = 'worker_class = "gevent"\nworkers = 2\npreload_app = True\n'
    (folder / "gunicorn.conf.py").write_text((PATCHES if patched_by == "the settings file" else "") + settings)
    with Server(folder, "app:app").ready(2) as server:
        assert "Warning" not in server.text
        assert server.get("/imported") == (200, "False")
        assert server.get("/itself") == (200, "hello")
        assert server.get("/child") == (200, "child\n")
        wait_for(lambda: int(server.get("/beats")[1]) > 3, "the thread that was started at import to run in the worker")
        os.kill(int(server.get("/pid")[1]), signal.SIGKILL)
        server.said("was killed by SIGKILL")
        server.ready(3)
        server.signal(signal.SIGTTIN)
        server.ready(4)
        assert server.stop() == 0


def test_a_settings_file_that_patches(folder):
    (folder / "gunicorn.conf.py").write_text(PATCHES + 'worker_class = "gevent"\nworkers = 1\n')
    with Server(folder, "app:app").ready(1) as server:
        os.kill(int(server.get("/pid")[1]), signal.SIGKILL)
        server.ready(2)
        server.signal(signal.SIGHUP)
        server.ready(3)
        assert server.get("/imported") == (200, "True")
        assert server.stop() == 0


@pytest.mark.parametrize("hook", ["on_starting(server)", "when_ready(server)", "pre_fork(server, worker)"])
def test_a_hook_of_the_arbiter_that_patches(folder, hook):
    """It does so for the workers: the arbiter goes on to fork, wait and reap as it always does."""
    patches = PATCHES.replace("\n", "; ")
    settings = f'worker_class = "gevent"\nworkers = 1\ndef {hook}:\n    {patches}\n'
    (folder / "gunicorn.conf.py").write_text(settings)
    with Server(folder, "app:app").ready(1) as server:
        os.kill(int(server.get("/pid")[1]), signal.SIGKILL)
        server.said("was killed by SIGKILL")
        server.ready(2)
        server.signal(signal.SIGHUP)
        server.ready(3)
        assert server.get("/itself") == (200, "hello")
        assert "Warning" not in server.text
        assert server.stop() == 0


def test_a_reload_to_threads_is_refused_where_the_arbiter_has_patched(folder):
    """What preloading for gevent has patched stays so until the server is started anew."""
    settings = folder / "gunicorn.conf.py"
    settings.write_text('worker_class = "gevent"\nworkers = 1\npreload_app = True\n')
    with Server(folder, "app:app").ready(1) as server:
        settings.write_text('worker_class = "threads"\nworkers = 1\npreload_app = True\n')
        server.signal(signal.SIGHUP)
        server.said("the settings had gevent replace Python's threads")
        assert server.get() == (200, "hello")
        assert server.stop() == 0


def test_readiness_is_asked_for_in_greenlets(folder):
    with Server(folder, "-k", "gevent", "-w", "1", "--ready-path", "/sleep", "app:app").ready(1) as server:
        assert server.get() == (200, "hello")


def test_files_are_watched(folder):
    """By polling, in a greenlet; the hub is never kept waiting."""
    with Server(folder, "-k", "gevent", "-w", "1", "--reload", "app:app").ready(1) as server:
        assert "files are watched: each is looked at" in server.text
        assert server.get() == (200, "hello")
        source = (folder / "app.py").read_text()
        (folder / "app.py").write_text(source.replace('body = b"hello"', 'body = b"changed"'))
        wait_for(lambda: server.get() == (200, "changed"), "the new code to answer")


HOOKS = """
import time

worker_class = "gevent"
workers = 1

def post_fork(server, worker):
    # As psycogreen gives psycopg2 its wait callback.
    import builtins
    from gevent.socket import wait_read
    builtins.wait_callback = wait_read

def post_worker_init(worker):
    worker.log.info("sleeps by %s", time.sleep.__module__)

def pre_request(worker, req):
    time.sleep(0)
    req.left = req.path
    worker.log.info("before %s", req.path)

def post_request(worker, req, environ, resp):
    assert req.left == req.path == environ["PATH_INFO"]
    worker.log.info("after %s %s", req.path, resp.status)
"""

DRIVER = """
import os

reader, writer = os.pipe()

def app(environ, start_response):
    if environ["PATH_INFO"] == "/query":
        wait_callback(reader)
    else:
        os.write(writer, b"x")
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]
"""


@pytest.mark.parametrize("patched_by", ["the worker class", "the settings file", "preloading"])
def test_hooks_around_greenlets(folder, patched_by):
    """What post_fork prepares works in greenlets; of two requests that overlap each has its own hooks."""
    (folder / "app.py").write_text(DRIVER)
    preload = f"preload_app = {patched_by == 'preloading'}\n"
    (folder / "gunicorn.conf.py").write_text((PATCHES if patched_by == "the settings file" else "") + preload + HOOKS)
    with Server(folder, "app:app").ready(1) as server, Client(server.url) as client:
        server.said("sleeps by gevent")
        client.request("/query")
        server.said("before /query")
        assert server.get("/other") == (200, "/other")
        assert client.read_response().body == b"/query"
        server.said("after /query")
        server.said("after /other")
        told = [line.partition("INFO] ")[2] for line in server.lines if re.search("before|after /", line)]
        assert told[:2] == ["before /query", "before /other"]
        assert sorted(told[2:]) == ["after /other 200 OK", "after /query 200 OK"]
        assert "raised" not in server.text
        assert server.stop() == 0

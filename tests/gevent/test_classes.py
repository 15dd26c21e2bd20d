"""Worker classes: Gunicorn's names, classes of the user's own, and what is said about the others."""

import signal
import sys

import pytest
from tests.support.process import Server, run
from tests.support.raw import wait_for

APP = """
import threading

def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{PREPARED} {threading.current_thread().name}".encode()]
"""

OWN = """
import builtins
from pronghorn.worker.classes import Gevent, Threads

class Mine(Threads):
    def prepare(self):
        builtins.PREPARED = "mine"

class Green(Gevent):
    def prepare(self):
        super().prepare()
        builtins.PREPARED = "green"

class Whole:
    greenlets = False

    def prepare(self):
        builtins.PREPARED = "whole"

class Broken(Threads):
    def prepare(self):
        raise ValueError("no driver")

class Other:
    pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "patched.py").write_text("from gevent import monkey\nmonkey.patch_all()\n" + APP)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "answer"),
    [("own.Mine", "mine pronghorn-0"), ("own:Whole", "whole pronghorn-0"), ("own.Green", "green MainThread")],
)
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_a_class_of_ones_own(folder, name, answer, preload):
    with Server(folder, "-k", name, "-w", "1", *preload, "app:app").ready(1) as server:
        status, text = server.get()
        assert status == 200
        if name != "own.Green":
            assert text == answer
        else:
            assert text.startswith("green ")
        assert f"1 worker of class {name}" in server.text
        before = server.workers()
        server.signal(signal.SIGHUP)
        server.ready(2)
        wait_for(lambda: not server.workers() & before, "the old worker to leave")
        assert server.get() == (status, text)
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("own.Nothing", "worker_class 'own.Nothing': the module 'own' has no 'Nothing'"),
        ("nowhere.Class", "importing 'nowhere' raised ModuleNotFoundError: No module named 'nowhere'"),
        ("own.Broken", "worker_class 'own.Broken': preparing the worker raised ValueError: no driver"),
        ("own.Other", "it is no worker class of Pronghorn, which has `greenlets` (True or False) and a method"),
    ],
)
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_what_is_none_is_one_clear_line(folder, name, line, preload):
    done = run(folder, "-k", name, "-w", "1", "--bind", "127.0.0.1:0", *preload, "app:app")
    assert done.returncode == 3
    assert line in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["gevent", "own.Green"])
def test_without_gevent(folder, name):
    hidden = "import sys; sys.modules['gevent'] = None; from pronghorn.cli.main import main; sys.exit(main())"
    command = (sys.executable, "-c", hidden)
    done = run(folder, "-k", name, "-w", "1", "--bind", "127.0.0.1:0", "app:app", command=command)
    assert done.returncode == (2 if name == "gevent" else 3)
    assert "need" in done.stderr
    assert "gevent: pip install 'pronghorn[gevent]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_application_that_patches_cannot_run_in_threads(folder):
    done = run(folder, "-w", "1", "--bind", "127.0.0.1:0", "patched:app")
    assert done.returncode == 3
    assert "it has gevent replace Python's threads" in done.stderr
    assert "--worker-class gevent" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["gunicorn.workers.ggevent.GeventWorker", "gevent_pywsgi"])
def test_gunicorns_names(folder, name):
    (folder / "plain.py").write_text(APP.replace("{PREPARED} ", ""))
    with Server(folder, "-k", name, "-w", "1", "plain:app").ready(1) as server:
        assert server.get()[0] == 200
        assert "greenlets" in server.text
        assert ("is served by gevent" in server.text) == ("wsgi" in name)


def test_threads_mean_nothing_to_it(folder):
    done = run(folder, "-k", "gevent", "--threads", "4", "--check-config", "app:app")
    assert done.returncode == 0
    assert "--threads: threads means nothing with worker_class gevent" in done.stderr

"""--check-config, started as a process: the exit statuses that docs/exit-statuses.md promises."""

import subprocess
from pathlib import Path

import pytest
from tests.support.process import run

APPLICATION = """\
import os

def app(environ, start_response):
    start_response("200 OK", [])
    return [os.environ.get("COLOUR", "none").encode()]

def create_app(name="x"):
    if os.environ.get("COLOUR") == "red":
        raise ValueError("no red")
    return app

number = 3
"""


def check(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (cwd / "shop.py").write_text(APPLICATION)
    return run(cwd, "--check-config", *arguments)


@pytest.mark.parametrize("app", ["shop:app", "shop:create_app()", 'shop:create_app("y")'])
def test_all_is_well(tmp_path, app):
    result = check(tmp_path, app)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"The settings are right, and {app} can be served.\n"


def test_the_application_may_stand_elsewhere(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "other.py").write_text("from shop import app\n")
    assert check(tmp_path, "--chdir", "web", "--pythonpath", str(tmp_path), "other:app").returncode == 0


def test_wrong_settings(tmp_path):
    result = check(tmp_path, "--threads", "0", "shop:app")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "pronghorn: --threads: threads must be at least 1, not '0'\n"


@pytest.mark.parametrize("app", ["shpo:app", "shop:ap", "shop:number", "shop:", "shop:app("])
def test_an_application_that_is_not_there_is_one_line(tmp_path, app):
    result = check(tmp_path, app)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("pronghorn: ")
    assert result.stderr.count("\n") == 1


GREEN = """\
import _thread

def start_new_thread(*arguments):
    raise NotImplementedError

start_new_thread.__module__ = "eventlet.green.thread"
_thread.start_new_thread = start_new_thread
"""
"""What eventlet's monkey patching does to threads."""

GEVENT = "from gevent import monkey\nmonkey.patch_all()\n"

REPLACES = [(GREEN, "eventlet", "take"), (GEVENT, "gevent", "use --worker-class gevent, or take")]


@pytest.mark.parametrize(("patches", "package", "remedy"), REPLACES)
def test_an_application_that_replaces_threads_is_one_line(tmp_path, patches, package, remedy):
    (tmp_path / "green.py").write_text(patches + APPLICATION)
    result = check(tmp_path, "green:app")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert result.stderr.startswith(f"pronghorn: application 'green:app': it has {package} replace Python's threads")
    assert result.stderr.endswith(f"the workers run on those; {remedy} the patching out\n")


@pytest.mark.parametrize(("patches", "package", "remedy"), REPLACES)
def test_a_configuration_that_replaces_threads_is_one_line(tmp_path, patches, package, remedy):
    (tmp_path / "gunicorn.conf.py").write_text(patches)
    result = check(tmp_path, "shop:app")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith(f"pronghorn: gunicorn.conf.py: it has {package} replace Python's threads")
    assert result.stderr.endswith(f"the workers run on those; {remedy} the patching out\n")


@pytest.mark.parametrize("place", ["green.py", "gunicorn.conf.py"])
def test_greenlets_need_no_threads_if_it_is_gevent_that_replaces_them(tmp_path, place):
    app = "green:app" if place == "green.py" else "shop:app"
    (tmp_path / place).write_text(GEVENT + (APPLICATION if place == "green.py" else ""))
    result = check(tmp_path, "-k", "gevent", app)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_class_of_ones_own_is_tried(tmp_path):
    (tmp_path / "own.py").write_text("from pronghorn.worker.classes import Gevent, Threads\n")
    assert check(tmp_path, "-k", "own.Gevent", "shop:app").returncode == 0
    result = check(tmp_path, "-k", "own.Process", "shop:app")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    (tmp_path / "gunicorn.conf.py").write_text(GEVENT)
    result = check(tmp_path, "-k", "own.Threads", "shop:app")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "the settings had gevent replace Python's threads" in result.stderr


def test_an_application_that_raises_shows_its_traceback_and_none_of_ours(tmp_path):
    result = check(tmp_path, "--env", "COLOUR=red", "shop:create_app()")
    assert result.returncode == 3
    assert "ValueError: no red" in result.stderr
    assert "shop.py" in result.stderr
    assert "pronghorn/cli" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("pronghorn: ")

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

start_new_thread.__module__ = "gevent.thread"
_thread.start_new_thread = start_new_thread
"""
"""What gevent's monkey patching does to threads."""


def test_an_application_that_replaces_threads_is_one_line(tmp_path):
    (tmp_path / "green.py").write_text(GREEN + APPLICATION)
    result = check(tmp_path, "green:app")
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert result.stderr.startswith("pronghorn: application 'green:app': it has gevent replace Python's threads")


def test_a_configuration_that_replaces_threads_is_one_line(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(GREEN)
    result = check(tmp_path, "shop:app")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("pronghorn: gunicorn.conf.py: it has gevent replace Python's threads")


def test_an_application_that_raises_shows_its_traceback_and_none_of_ours(tmp_path):
    result = check(tmp_path, "--env", "COLOUR=red", "shop:create_app()")
    assert result.returncode == 3
    assert "ValueError: no red" in result.stderr
    assert "shop.py" in result.stderr
    assert "pronghorn/cli" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("pronghorn: ")

"""The pidfile: written whole, never stolen, removed by its owner."""

import os
import subprocess
import sys

import pytest

from pronghorn.arbiter.pidfile import Pidfile
from pronghorn.errors import StartError


def test_written_and_removed(tmp_path):
    pidfile = Pidfile(str(tmp_path / "run.pid"))
    pidfile.write()
    assert (tmp_path / "run.pid").read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_one_is_taken_over(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "run.pid").write_text(f"{ended.pid}\n")
    pidfile = Pidfile(str(tmp_path / "run.pid"))
    pidfile.write()
    assert pidfile.read() == os.getpid()


@pytest.fixture
def living():
    """Starts processes that run until the end of the test."""
    started = []

    def run(*words):
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.communicate("\n")


@pytest.mark.parametrize("code", ["import pronghorn.engine.loop", "'gunicorn'"])
def test_one_of_a_living_server_is_not(tmp_path, living, code):
    process = living(sys.executable, "-c", f"{code}; print(); input()")
    process.stdout.readline()
    (tmp_path / "run.pid").write_text(f"{process.pid}\n")
    with pytest.raises(StartError, match=f"names process {process.pid}, which is running"):
        Pidfile(str(tmp_path / "run.pid")).write()


def test_one_whose_number_belongs_to_something_else_is_taken_over(tmp_path, living, caplog):
    process = living("cat")
    (tmp_path / "run.pid").write_text(f"{process.pid}\n")
    with caplog.at_level("INFO", "pronghorn.error"):
        Pidfile(str(tmp_path / "run.pid")).write()
    assert (tmp_path / "run.pid").read_text() == f"{os.getpid()}\n"
    assert f"is stale: process {process.pid} is something else now" in caplog.text


def test_beside_the_old_arbiters_until_it_is_gone(tmp_path):
    path = tmp_path / "run.pid"
    path.write_text("4194305\n")
    pidfile = Pidfile(str(path), predecessor=4194305)
    pidfile.write()
    assert path.read_text() == "4194305\n"
    assert (tmp_path / "run.pid.2").read_text() == f"{os.getpid()}\n"
    pidfile.promote()
    assert path.read_text() == f"{os.getpid()}\n"
    assert [found.name for found in tmp_path.iterdir()] == ["run.pid"]


@pytest.mark.parametrize("text", ["", "garbage", "-1"])
def test_rubbish_is_overwritten(tmp_path, text):
    (tmp_path / "run.pid").write_text(text)
    Pidfile(str(tmp_path / "run.pid")).write()
    assert Pidfile(str(tmp_path / "run.pid")).read() == os.getpid()


def test_another_owners_file_stays(tmp_path):
    pidfile = Pidfile(str(tmp_path / "run.pid"))
    pidfile.write()
    (tmp_path / "run.pid").write_text("1\n")
    pidfile.remove()
    assert (tmp_path / "run.pid").exists()


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(StartError, match="cannot be written: No such file or directory"):
        Pidfile(str(tmp_path / "none" / "run.pid")).write()

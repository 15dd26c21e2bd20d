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


def test_one_of_a_living_process_is_not(tmp_path):
    (tmp_path / "run.pid").write_text(f"{os.getppid()}\n")
    with pytest.raises(StartError, match=f"names process {os.getppid()}, which is running"):
        Pidfile(str(tmp_path / "run.pid")).write()


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

"""The sink never waits and never fails, whatever stands behind its descriptor."""

import os
import socket
import subprocess
import sys

import pytest

from pronghorn.observe.sink import Sink

FLOOD = """
from pronghorn.observe.sink import Sink
sink = Sink("-", 2)
for _ in range(%d):
    sink.write(b"x" * 99 + b"\\n")
print(sink.lost)
"""


def test_a_relative_path_is_opened_anew_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    sink = Sink("log", 2)
    monkeypatch.chdir("elsewhere")
    (tmp_path / "log").rename(tmp_path / "log.1")
    sink.reopen()
    sink.close()
    assert (tmp_path / "log").exists()


@pytest.fixture
def fifo(tmp_path):
    """A sink into a named pipe, and the pipe's reading end."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(path), 2)
    yield sink, reader
    sink.close()
    os.close(reader)


def fill(sink, line):
    """Writes `line` until the sink takes no more; how many times it was taken."""
    taken = 0
    while sink.write(line):
        taken += 1
        assert taken < 1_000_000
    return taken


def test_a_full_pipe_loses_lines_and_goes_on(fifo):
    sink, reader = fifo
    line = b"x" * 99 + b"\n"
    taken = fill(sink, line)
    assert sink.lost == 1
    assert not sink.write(line * 3)
    assert sink.taken_back() == (4, "it takes no more at present")
    assert os.read(reader, 1 << 20) == line * taken
    assert sink.write(line)
    assert os.read(reader, 1 << 20) == line


def test_a_batch_that_fits_in_part_is_cut_between_lines(fifo):
    sink, reader = fifo
    line = b"y" * 99 + b"\n"
    assert not sink.write(line * 1000)
    got = os.read(reader, 1 << 20)
    assert got == line * (1000 - sink.lost)


def test_a_torn_line_is_ended_before_the_next(fifo):
    sink, reader = fifo
    assert not sink.write(b"z" * 100_000 + b"\n")
    assert sink.lost == 1
    torn = os.read(reader, 1 << 20)
    assert set(torn) == {ord("z")}
    assert sink.write(b"next\n")
    assert os.read(reader, 1 << 20) == b"\nnext\n"


def test_a_pipe_that_lost_its_reader(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(path), 2)
    os.close(reader)
    assert not sink.write(b"a\nb\n")
    assert sink.taken_back() == (2, "Broken pipe")
    sink.close()


def test_a_full_disk():
    sink = Sink("/dev/full", 2)
    assert not sink.write(b"a\n")
    assert sink.taken_back() == (1, "No space left on device")
    sink.close()


def test_a_closed_sink_counts(tmp_path):
    sink = Sink(str(tmp_path / "log"), 2)
    sink.close()
    assert not sink.write(b"a\n")
    assert sink.lost == 1


def test_reopen_keeps_the_old_file_when_the_new_cannot_be_opened(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = Sink(str(folder / "log"), 2)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        sink.reopen()
    assert sink.write(b"still here\n")
    assert (moved / "log").read_bytes() == b"still here\n"
    sink.close()


def test_a_blocking_pipe_shared_as_standard_error_never_blocks():
    """The child writes far more than the pipe holds to a standard error that nobody reads, and ends all the same."""
    code = FLOOD % 5000
    reader, writer = os.pipe()
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=writer, timeout=20, check=True)
    os.close(writer)
    lost = int(done.stdout)
    got = b""
    while piece := os.read(reader, 1 << 20):
        got += piece
    os.close(reader)
    assert lost > 0
    assert len(got.splitlines()) + lost == 5000


def test_a_socket_as_standard_error_never_blocks():
    code = FLOOD % 20000
    here, there = socket.socketpair()
    with here, there:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=there, timeout=20, check=True
        )
        assert int(done.stdout) > 0

"""Logs into pipes whose readers have stopped or died: they cost lines, never requests."""

import os
import socket
import subprocess
import sys

import pytest
from tests.support.process import MODULE, environment
from tests.support.raw import Client, wait_for

APP = """
import faulthandler, os, signal

def app(environ, start_response):
    environ["wsgi.errors"].write("x" * 1000 + "\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken application")
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("reader", ["stopped", "dead"])
def test_requests_are_served_whatever_becomes_of_the_readers(tmp_path, reader):
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "socket"
    ends = [os.pipe(), os.pipe()]
    command = [*MODULE, "--bind", f"unix:{path}", "--workers", "1", "--access-logfile", "-", "app:app"]
    server = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stdout=ends[0][1], stderr=ends[1][1]
    )
    try:
        for _, writing in ends:
            os.close(writing)
        wait_for(lambda: listens(path), "the server to listen")
        with Client(f"unix://{path}") as client:
            first = client.get().body
            if reader == "dead":
                for reading, _ in ends:
                    os.close(reading)
            for _ in range(1500):  # far more than both pipes hold
                assert client.get("/error").status == 500
            assert client.get().body == first
        if reader == "stopped":
            assert all(len(os.read(reading, 1 << 20)) > 30_000 for reading, _ in ends)
            with Client(f"unix://{path}") as client:
                # The readers are back: the worker says itself how much they missed.
                assert client.get("/error").status == 500
                wait_for(lambda: b"log lines were lost" in read_on(client, ends[1][0]), "the loss to be told")
    finally:
        server.terminate()
        assert server.wait(20) == 0
        if reader == "stopped":
            for reading, _ in ends:
                os.close(reading)


def listens(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def read_on(client, end):
    client.get("/error")
    return os.read(end, 1 << 20)


def test_a_dump_of_stacks_does_not_wait_for_its_reader(tmp_path):
    """The dump of a worker that hangs goes into a full pipe: the signal handler must not wait there."""
    code = (
        "import faulthandler, os, signal\n"
        "from pronghorn.observe import log\n"
        "from pronghorn.options import LogOptions\n"
        "log.setup(LogOptions())\n"
        "log.dump_stacks_here()\n"
        "sink = log.error_stream()\n"
        "for _ in range(2000):\n"
        "    sink.write('x' * 99 + '\\n')\n"
        "os.kill(os.getpid(), signal.SIGABRT)\n"
    )
    reading, writing = os.pipe()
    done = subprocess.run([sys.executable, "-c", code], stderr=writing, timeout=20, check=False)
    os.close(reading)
    os.close(writing)
    assert done.returncode == -6

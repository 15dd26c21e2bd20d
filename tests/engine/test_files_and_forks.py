"""Files that are not what their descriptor says, and processes that are forked inside the application."""

import bz2
import contextlib
import gzip
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pronghorn.testing import serve
from tests.support.raw import Client

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


def file_app(make: Callable[[], Any], *headers: tuple[str, str]) -> Callable[..., Any]:
    def app(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](make())

    return app


@pytest.mark.parametrize("module", [gzip, bz2])
def test_a_file_that_decompresses_is_sent_decompressed(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "packed"
    content = b"plain text " * 1000
    with module.open(path, "wb") as packed:
        packed.write(content)
    with serve(file_app(lambda: module.open(path, "rb"))) as url, Client(url) as client:
        assert client.get().body == content


def test_a_file_of_proc_is_sent_whole() -> None:
    with serve(file_app(lambda: Path("/proc/self/status").open("rb"))) as url, Client(url) as client:
        assert client.get().body.startswith(b"Name:")


def test_what_a_file_object_has_not_flushed_is_sent(tmp_path: Path) -> None:
    """A file opened for reading and writing: its own buffer holds what the kernel has not seen."""
    path = tmp_path / "both"

    def make() -> Any:
        path.write_bytes(b"12345")
        file = path.open("r+b")  # the server closes it
        file.read(5)
        file.write(b"67890")
        file.seek(0)
        file.write(b"X")
        return file

    with serve(file_app(make)) as url, Client(url) as client:
        assert client.get().body == b"234567890"


@pytest.mark.parametrize("case", ["past", "closed", "text", "pipe", "bytesio", "directory"])
def test_odd_files_are_answered(case: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    def make() -> Any:
        if case == "past":
            file = path.open("rb")  # the server closes it
            file.seek(1000)
            return file
        if case == "closed":
            file = path.open("rb")  # the server closes it
            file.close()
            return file
        if case == "text":
            return path.open(encoding="utf-8")
        if case == "pipe":
            read, write = os.pipe()
            os.write(write, b"content")
            os.close(write)
            return os.fdopen(read, "rb")
        if case == "directory":

            class Directory(io.RawIOBase):
                fd = os.open(tmp_path, os.O_RDONLY)

                def fileno(self) -> int:
                    return self.fd

                def tell(self) -> int:
                    return 0

                def read(self, size: int = -1) -> bytes:
                    os.close(self.fd)
                    raise IsADirectoryError

            return Directory()
        return io.BytesIO(b"content")

    failed = (500, None)
    expected = {"past": (200, b""), "closed": failed, "directory": failed, "text": failed}.get(case, (200, b"content"))
    with serve(file_app(make)) as url, Client(url) as client:
        response = client.get()
        assert response.status == expected[0]
        if expected[1] is not None:
            assert response.body == expected[1]


FORKING = """
import os, sys, time
from pronghorn.testing import serve
from tests.support.raw import Client
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fork":
        pid = os.fork()
        if pid == 0:
            {child}
        {parent}
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
mother = os.getpid()
with serve(app) as url:
    with Client(url) as client:
        client.socket.settimeout(5)
        bodies = [client.get("/fork").body for _ in range(3)]
        assert bodies == [str(mother).encode()] * 3, bodies
    with Client(url) as client:
        for _ in range(20):
            assert client.get().body == str(mother).encode()
"""


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("os._exit(0)", "os.waitpid(pid, 0)"),
        ("sys.exit(0)", "time.sleep(0.3)"),
        ("raise ValueError", "time.sleep(0.3)"),
        ("pass", "time.sleep(0.3)"),
    ],
    ids=["exit", "sys.exit", "raise", "return"],
)
def test_a_child_forked_in_the_application_never_answers_for_its_parent(child: str, parent: str) -> None:
    script = FORKING.replace("{child}", child).replace("{parent}", parent)
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(20)
        assert process.returncode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def test_a_closed_connection_is_closed_although_a_child_of_the_application_lives() -> None:
    """As with multiprocessing: the child inherits every socket, and a plain close() ends nothing while it lives.

    Nor does it take the socket out of epoll, which would report its end again and again.
    """
    script = """
import os, sys, time, signal
from pronghorn.testing import serve
from tests.support.raw import Client
children = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        children.append(pid)
    start_response("200 OK", [])
    return [b""]
with serve(app) as url:
    with Client(url) as other, Client(url) as client:
        other.get()
        client.get("/fork")
        other.request("/", "Connection: close")
        other.read_response()
        other.socket.settimeout(3)
        try:
            print(other.is_closed())
            began = time.process_time()
            time.sleep(0.5)
            print(time.process_time() - began < 0.1)
        finally:
            os.kill(children[0], signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=40, check=False, capture_output=True)
    assert done.stdout == b"True\nTrue\n", done.stderr[-1500:].decode()


def test_an_application_that_closes_the_descriptor_of_its_own_connection_harms_no_other() -> None:
    """As a careless os.closerange does. The loop hears of it while its request runs, and cannot unwatch it."""
    script = """
import os, socket, time
from pathlib import Path
from pronghorn.testing import serve
from tests.support.raw import Client
inside = []
def peer_of(fd):
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return copy.getpeername()[1]
    except OSError:
        return None
def app(environ, start_response):
    if environ["PATH_INFO"] == "/close":
        fds = [int(name) for name in os.listdir("/proc/self/fd")]
        mine = [fd for fd in fds if str(peer_of(fd)) == environ["REMOTE_PORT"]]
        os.dup(mine[0])     # the peer is still heard of
        os.close(mine[0])
        inside.append(True)
        time.sleep(0.3)
    start_response("200 OK", [])
    return [b"fine"]
with serve(app) as url:
    with Client(url) as client, Client(url) as other:
        other.get()
        client.request("/close")
        while not inside:
            time.sleep(0.001)
        client.send(b"more")
        time.sleep(0.4)
        for _ in range(100):
            assert other.get().body == b"fine"
    print("served")
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=40, check=False, capture_output=True)
    assert done.stdout == b"served\n", done.stderr[-1500:].decode()


def test_a_thread_started_by_the_application_may_be_joined_in_it() -> None:
    import threading

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        threads = [threading.Thread(target=time.sleep, args=(0.02,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        start_response("200 OK", [])
        return [b"joined"]

    with serve(app, threads=1) as url, Client(url) as client:
        for _ in range(5):
            assert client.get().body == b"joined"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_whatever_the_application_raises_is_a_500(error: type[BaseException]) -> None:
    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        raise error

    with serve(app) as url, Client(url) as client:
        for _ in range(3):
            assert client.get().status == 500

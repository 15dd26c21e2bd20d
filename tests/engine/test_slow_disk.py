"""A file that is sent from a slow disk: the worker's other requests do not wait for it."""

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.process import Server
from tests.support.raw import Client, wait_for
from tests.support.sanitized import preloading

SIZE = 14 << 20  # more than one turn of the loop sends
READING = 1.2
"""Seconds for which slow_disk.c holds up a sendfile."""

APP = """
import io, time

class Late(io.BufferedReader):
    def close(self):
        time.sleep(2)
        super().close()

def app(environ, start_response):
    if environ["PATH_INFO"] == "/file":
        length = int(environ["QUERY_STRING"] or 0)
        write = start_response("200 OK", [("Content-Length", str(length + {size}))])
        write(bytes(length))
        return environ["wsgi.file_wrapper"](Late(io.FileIO({path!r})))
    start_response("200 OK", [])
    return [b"quick"]
"""

COUNT = 60
STREAM = f"""
def app(environ, start_response):
    start_response("200 OK", [])
    for number in range({COUNT}):
        yield b"%d" % number * 20_000
        yield b"small"
"""


@pytest.fixture
def slow_disk(tmp_path: Path) -> dict[str, str]:
    """The environment of a server that has one."""
    library = tmp_path / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    # Behind what is loaded already: AddressSanitizer wants to be first.
    how = {"SLOW_DISK_MS": str(int(READING * 1000)), "SLOW_DISK_EVERY": "1"}
    return {"LD_PRELOAD": preloading(library), **how}


@pytest.mark.parametrize("before", [0, SIZE], ids=["a file", "bytes and a file"])
def test_other_requests_do_not_wait_for_a_slow_disk(tmp_path: Path, slow_disk: dict[str, str], before: int) -> None:
    slow_disk["SLOW_DISK_EVERY"] = "30"
    file = tmp_path / "large"
    content = os.urandom(1 << 20) * (SIZE >> 20)
    file.write_bytes(content)
    (tmp_path / "served.py").write_text(APP.format(path=str(file), size=SIZE))
    with Server(tmp_path, "--workers", "1", "--send-buffer", "64MiB", "served:app", **slow_disk) as server:
        received: list[bytes] = []

        def download() -> None:
            with Client(server.url, receive_buffer=64 * 1024) as client:
                client.request(f"/file?{before}")
                client.read_until(b"\r\n\r\n")
                client.hurry()
                assert client.read_exactly(before) == bytes(before)
                received.append(client.read_exactly(SIZE))

        loading = threading.Thread(target=download)
        with Client(server.url) as client:
            client.get()
            loading.start()
            longest, asked = 0.0, 0
            while loading.is_alive():
                begun = time.monotonic()
                assert client.get().body == b"quick"
                longest, asked = max(longest, time.monotonic() - begun), asked + 1
                time.sleep(0.01)
        loading.join()
    assert received == [content]
    assert longest < READING, f"one of {asked} quick requests took {longest:.3f} s"


def test_a_file_that_is_late_goes_to_no_other_client(tmp_path: Path, slow_disk: dict[str, str]) -> None:
    """The deadline passes while a thread is about to send: what it sends to must not be the next connection by then."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(1 << 16))
    (tmp_path / "served.py").write_text(APP.format(path=str(file), size=file.stat().st_size))
    arguments = ("--workers", "1", "--timeout", "0.3", "served:app")
    with Server(tmp_path, *arguments, **slow_disk) as server, Client(server.url) as late:
        late.request("/file")
        late.read_until(b"\r\n\r\n")
        wait_for(lambda: "its response is cut" in server.text, "the deadline to be told")
        others = [Client(server.url) for _ in range(8)]
        end = time.monotonic() + 1.5 * READING
        while time.monotonic() < end:
            for other in others:
                assert other.get().body == b"quick"
            time.sleep(0.05)
        with pytest.raises(ConnectionError):
            late.read_exactly(file.stat().st_size)


def keeps_file(pid: int, folder: Path) -> bool:
    """Whether a process has a file without a name there."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            link = str(entry.readlink())
            if link.startswith(f"{folder}/") and link.endswith(" (deleted)"):
                return True
    return False


def test_what_is_said_during_a_slow_read_is_not_lost(tmp_path: Path, slow_disk: dict[str, str]) -> None:
    """A response that was put aside to a file is being sent, and the next leader adds what its thread had in hand."""
    (tmp_path / "served.py").write_text(STREAM)
    spool = tmp_path / "spool"
    spool.mkdir()
    slow_disk["SLOW_DISK_MS"] = "20"
    options = ("--workers", "1", "--threads", "1", "--send-buffer", "64KiB", "--spool-dir", str(spool))
    with Server(tmp_path, *options, "served:app", **slow_disk).ready(1) as server:
        (worker,) = server.workers()
        with Client(server.url, receive_buffer=4096) as client:
            client.request()
            wait_for(lambda: keeps_file(worker, spool), "a part of the response to be put aside")
            client.hurry()
            client.read_until(b"\r\n\r\n")
            assert client.read_chunks() == b"".join(b"%d" % number * 20_000 + b"small" for number in range(COUNT))

"""A file that is sent from a slow disk: the worker's other requests do not wait for it."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.process import Server
from tests.support.raw import Client
from tests.support.sanitized import preloading

SIZE = 14 << 20  # more than one turn of the loop sends
READING = 1.2
"""Seconds for which slow_disk.c holds up each sendfile."""

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open({path!r}, "rb"))
    return [b"quick"]
"""


@pytest.fixture
def slow_disk(tmp_path: Path) -> str:
    library = tmp_path / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    # Behind what is loaded already: AddressSanitizer wants to be first.
    return preloading(library)


def test_other_requests_do_not_wait_for_a_slow_disk(tmp_path: Path, slow_disk: str) -> None:
    file = tmp_path / "large"
    content = os.urandom(1 << 20) * (SIZE >> 20)
    file.write_bytes(content)
    (tmp_path / "served.py").write_text(APP.format(path=str(file)))
    with Server(tmp_path, "--workers", "1", "served:app", LD_PRELOAD=slow_disk) as server:
        received: list[bytes] = []

        def download() -> None:
            with Client(server.url, receive_buffer=64 * 1024) as client:
                client.request("/file")
                client.read_until(b"\r\n\r\n")
                client.hurry()
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

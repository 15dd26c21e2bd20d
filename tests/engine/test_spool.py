"""Request bodies that outgrow memory: large pieces go to a file without a name, which is given back in every case."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pronghorn.testing import serve
from tests.support.apps import Environ, StartResponse, content, echo
from tests.support.process import Server
from tests.support.raw import Client, wait_for

KIB = 1024
MIB = 1024 * KIB


def files_in(directory: Path) -> int:
    """How many files of this directory the process holds open, nameless ones too."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            found += str(entry.readlink()).startswith(f"{directory}/")
    return found


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` octets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("around", [256 * KIB, MIB, MIB + 256 * KIB, 2 * MIB, 5 * MIB])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_what_stands_behind_a_body_is_the_next_request(around: int, more: int) -> None:
    body = content(around + more)
    behind = b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(3))
    with serve(echo) as url, Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body + behind)
        assert client.read_response().body == body
        assert [client.read_response().body for _ in range(3)] == [b"/0", b"/1", b"/2"]


def test_bodies_that_share_a_file_one_after_another_see_their_own_only(tmp_path: Path) -> None:
    """The file of a large body is kept for a moment, because filling it again is cheap; then it is given back."""
    with serve(echo, spool_dir=str(tmp_path)) as url, Client(url) as client:
        for size in (3 * MIB, 2 * MIB + 1, 5 * MIB, MIB + 1, 3 * MIB, 100):
            body = content(size + 8)[8:]
            assert client.get("/", method="POST", body=body).body == body
            assert files_in(tmp_path) <= 1
            with Client(url) as early:  # one that ends early leaves nothing behind for the next
                early.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (4 * MIB) + b"!" * 2 * MIB)
        wait_for(lambda: files_in(tmp_path) == 0, "the file to be given back")


def test_no_program_that_the_application_starts_inherits_what_is_spooled_or_sent(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(content(8 * MIB))
    inherited: list[str] = []

    def note() -> None:
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # closed since it was listed
                if str(entry.readlink()).startswith(f"{tmp_path}/") and os.get_inheritable(int(entry.name)):
                    inherited.append(str(entry.readlink()))

    def app(environ: Environ, start_response: StartResponse) -> Any:
        note()
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/file":
            return environ["wsgi.file_wrapper"](sent.open("rb"))
        return [environ["wsgi.input"].read()]

    with serve(app, spool_dir=str(tmp_path)) as url, Client(url, receive_buffer=4096) as slow, Client(url) as client:
        slow.request("/file")
        slow.read_until(b"\r\n\r\n")
        assert client.get("/", method="POST", body=content(3 * MIB)).body == content(3 * MIB)
    assert inherited == []


FORKING = """
import os, time

def app(environ, start_response):
    start_response("200 OK", [])
    body = environ["wsgi.input"]
    if environ["PATH_INFO"] == "/fork" and os.fork() == 0:
        while not os.path.exists("go"):
            time.sleep(0.01)
        with open("found", "wb") as found:
            found.write(body.read())
        os.rename("found", "kept")
        os._exit(0)
    return [b"" if environ["PATH_INFO"] == "/fork" else body.read()]
"""


def test_a_child_process_that_reads_later_finds_its_own_body(tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text(FORKING)
    first, second = b"1" * 3 * MIB, b"2" * 4 * MIB
    with Server(tmp_path, "--workers", "1", "forking:app") as server, Client(server.url) as client:
        assert client.get("/fork", method="POST", body=first).status == 200
        assert client.get("/", method="POST", body=second).body == second
        (tmp_path / "go").touch()
        wait_for((tmp_path / "kept").exists, "the child to have read")
        assert (tmp_path / "kept").read_bytes() == first


def test_two_large_bodies_in_one_go() -> None:
    first, second = content(3 * MIB), content(2 * MIB)[::-1]
    with serve(echo) as url, Client(url) as client:
        for body in (first, second):
            client.request(method="POST", body=body)
        assert client.read_response().body == first
        assert client.read_response().body == second


def test_a_body_that_comes_with_pauses(tmp_path: Path) -> None:
    """Each piece that arrives is in the file before the next is awaited."""
    body = content(2 * MIB)
    with serve(echo, spool_dir=str(tmp_path), body_memory=64 * KIB) as url, Client(url) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 100_000):
            wait_for(lambda files=int(at > 64 * KIB): files_in(tmp_path) == files, "the spool file")
            client.send(body[at : at + 100_000])
        assert client.read_response().body == body
        wait_for(lambda: files_in(tmp_path) == 0, "the end of the spool file")


def test_an_upload_that_ends_early_gives_its_file_back(tmp_path: Path) -> None:
    with serve(echo, spool_dir=str(tmp_path), body_memory=64 * KIB) as url:
        with Client(url) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % MIB + content(MIB // 2))
            wait_for(lambda: files_in(tmp_path) == 1, "the spool file")
        wait_for(lambda: files_in(tmp_path) == 0, "the end of the spool file")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_spool_that_is_full_half_way_is_answered_507_and_freed(tmp_path: Path, framing: str) -> None:
    body = content(4 * MIB)
    head = b"POST / HTTP/1.1\r\nHost: test\r\n"
    with serve(echo, spool_dir=str(tmp_path)) as url, Client(url) as client, largest_file(2 * MIB + 5):
        if framing == "length":
            client.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            client.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        response = client.read_response()
        assert response.status == 507
        assert response.closes
        wait_for(lambda: files_in(tmp_path) == 0, "the end of the spool file")


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_readinto_fills_what_it_is_given(size: int) -> None:
    body = content(size)
    given: list[bytes] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        room = bytearray(70_000)
        while count := environ["wsgi.input"].readinto(room):
            given.append(bytes(room[:count]))
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app) as url, Client(url) as client:
        assert client.get(method="POST", body=body).status == 200
    assert b"".join(given) == body
    assert all(len(piece) == 70_000 for piece in given[:-1])


def test_a_response_to_a_large_upload_comes_before_the_close() -> None:
    """It is sent before the file is freed, and the last one of a connection too."""
    body = content(3 * MIB)
    with serve(echo) as url, Client(url) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        response = client.read_response()
        assert response.body == body
        assert response.closes
        assert client.is_closed()

"""What a worker does when descriptors, disk space, memory or threads run out: it refuses what it must, and goes on."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.process import Server
from tests.support.raw import Client, wait_for
from tests.support.sanitized import ADDRESS_SANITIZED

APP = """
import os, resource, time

LIMIT = getattr(resource, os.environ.get("LIMIT", "RLIMIT_CORE"))
VALUE = int(os.environ.get("VALUE", 0))
leaked = []

def limit(value):
    resource.setrlimit(LIMIT, (value, resource.getrlimit(LIMIT)[1]))

if os.environ.get("AT") == "import":
    limit(VALUE)

def app(environ, start_response):
    path, size = environ["PATH_INFO"], len(environ["wsgi.input"].read())
    if path == "/limit":
        limit(VALUE)
    if path == "/unlimit":
        limit(resource.getrlimit(LIMIT)[1])
    if path == "/leak":
        while True:
            try:
                leaked.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
    if path == "/free":
        while leaked:
            os.close(leaked.pop())
    if path == "/hold":
        while not os.path.exists("release"):
            time.sleep(0.02)
    if path == "/greedy":
        bytes(1 << 40)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/file":
        file = open(__file__, "rb")
        while True:
            try:
                leaked.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        return environ["wsgi.file_wrapper"](file)
    return [b"hello %d" % size]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def cpu(server):
    """Seconds of CPU that the only worker has used."""
    (worker,) = server.workers()
    fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(server):
    client = Client(server.url)
    client.request()
    return client


# Descriptors


@pytest.fixture
def short_of_descriptors(folder):
    with Server(folder, "--workers", "1", "app:app", LIMIT="RLIMIT_NOFILE", VALUE="64", AT="import") as server:
        yield server.ready(1)


def test_500_clients_and_64_descriptors(short_of_descriptors):
    server = short_of_descriptors
    used = cpu(server)
    began = time.monotonic()
    clients = [ask(server) for _ in range(500)]
    statuses = [client.read_response().status for client in clients]
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) < 100
    assert cpu(server) - used < 0.2 * (time.monotonic() - began)
    assert server.text.count("Cannot accept connections: Too many open files (ulimit -n is 64)") == 1
    with Client(server.url) as client:
        assert client.get().status == 200
    for client in clients:
        client.socket.close()


def test_an_application_that_leaks_descriptors_is_served_on_and_recovers(short_of_descriptors):
    server = short_of_descriptors
    with Client(server.url) as kept:
        assert kept.get("/leak").status == 200
        used, began = cpu(server), time.monotonic()
        # Nobody is idle for long enough: one client at a time is turned away, with an answer and an orderly end.
        refused = ask(server)
        assert kept.get("/").status == 200
        answer = refused.read_response()
        assert (answer.status, answer.closes, answer.headers["retry-after"]) == (503, True, "1")
        assert answer.body == b"The server has no descriptor to spare.\n"
        assert refused.is_closed()
        refused.socket.close()
        waiting = [ask(server) for _ in range(3)]
        for client in waiting:
            kept.get("/")
            assert client.read_response().status == 503
            client.socket.close()
        assert time.monotonic() - began > 0.6  # at a bounded rate
        assert cpu(server) - used < 0.3
        assert kept.get("/free").status == 200
        began = time.monotonic()
        with Client(server.url) as client:
            assert client.get().status == 200
        assert time.monotonic() - began < 1


def test_the_idlest_connection_makes_room_for_a_descriptor(short_of_descriptors):
    server = short_of_descriptors
    with Client(server.url) as idle, Client(server.url) as busy:
        assert idle.get().status == 200
        assert busy.get("/leak").status == 200
        began = time.monotonic()
        wait_for(lambda: busy.get().status == 200 and time.monotonic() - began > 0.7, "the other to be idle")
        with Client(server.url) as newcomer:
            assert newcomer.get().status == 200
        assert idle.is_closed()
        assert busy.get().status == 200


def test_a_file_is_sent_without_a_descriptor_to_spare(short_of_descriptors):
    with Client(short_of_descriptors.url) as client:
        answer = client.get("/file")
        assert (answer.status, answer.body) == (200, APP.encode())
        assert "error" not in short_of_descriptors.text.lower()
        assert client.get("/free").status == 200


def test_a_drain_without_descriptors_still_answers_who_waits(folder):
    with Server(folder, "--workers", "1", "app:app", LIMIT="RLIMIT_NOFILE", VALUE="64", AT="import") as server:
        server.ready(1)
        holders = [Client(server.url) for _ in range(3)]
        for client in holders:
            client.request("/hold")
        with Client(server.url) as client:
            assert client.get("/leak").status == 200
            server.signal(15)
            late = [ask(server) for _ in range(2)]
            server.said("stopping")
            (folder / "release").touch()
            statuses = [one.read_response().status for one in holders]
            assert statuses == [200] * 3
            assert {one.read_response().status for one in late} <= {200, 503}
        for one in (*late, *holders):
            one.socket.close()
        assert server.wait() == 0


def test_another_worker_with_descriptors_takes_what_this_one_cannot(folder):
    with Server(folder, "--workers", "2", "app:app", LIMIT="RLIMIT_NOFILE", VALUE="64") as server:
        server.ready(2)
        with Client(server.url) as client:
            assert client.get("/limit").status == 200
            assert client.get("/leak").status == 200
            began = time.monotonic()
            while time.monotonic() - began < 1:
                with Client(server.url) as other:
                    assert other.get().status == 200


def test_an_application_that_closes_the_loops_descriptors_costs_its_worker_only(folder):
    source = APP.replace(
        'if path == "/limit":', 'if path == "/close":\n        os.closerange(3, 4096)\n    if path == "/limit":'
    )
    (folder / "app.py").write_text(source)
    with Server(folder, "--workers", "1", "app:app") as server:
        server.ready(1)
        (first,) = server.workers()
        with contextlib.suppress(OSError), Client(server.url) as client:
            client.get("/close")
        wait_for(lambda: first not in server.workers(), "the worker to end")
        server.ready(2)
        assert server.get()[0] == 200


# Disk space


def upload(server, size, path="/"):
    with Client(server.url) as client:
        return client.get(path, method="POST", body=bytes(size))


def spool_files(worker, spool):
    """The descriptors of a worker's files in this directory, nameless ones too."""
    found = []
    for entry in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if str(spool) in str(entry.readlink()):
                found.append(entry.name)
    return found


def test_a_body_beyond_the_largest_file(folder):
    """RLIMIT_FSIZE: the write fails with EFBIG."""
    spool = folder / "spool"
    spool.mkdir()
    arguments = ("--workers", "1", "--spool-dir", str(spool), "app:app")
    with Server(folder, *arguments, LIMIT="RLIMIT_FSIZE", VALUE=str(2 << 20), AT="import") as server:
        server.ready(1)
        answer = upload(server, 8 << 20)
        assert (answer.status, answer.closes) == (507, True)
        assert "Cannot spool a request body" in server.text
        assert upload(server, (2 << 20) - 1).body == b"hello %d" % ((2 << 20) - 1)
        assert list(spool.iterdir()) == []
        (worker,) = server.workers()
        # The answer leaves before the file is freed, which may take long.
        wait_for(lambda: not spool_files(worker, spool), "the end of the spool file")


def test_a_body_without_a_descriptor_for_it(short_of_descriptors):
    server = short_of_descriptors
    with Client(server.url) as client:
        assert client.get("/leak").status == 200
        assert client.get("/", method="POST", body=bytes(2 << 20)).status == 507
    wait_for(lambda: server.get("/free")[0] == 200, "room again")


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place):
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass


def test_a_spool_on_a_full_file_system_recovers_by_itself(folder, full_disk):
    (folder / "pronghorn.toml").write_text(f'spool_dir = "{full_disk}"\nbody_memory = 1024\nworkers = 1\n')
    with Server(folder, "app:app") as server:
        server.ready(1)
        for _ in range(3):
            answer = upload(server, 3 << 20)
            assert (answer.status, answer.closes) == (507, True)
        assert list(full_disk.iterdir()) == []
        assert upload(server, 900_000).body == b"hello 900000"
        # The answer comes before the spool file is given back.
        wait_for(lambda: os.statvfs(full_disk).f_bfree == os.statvfs(full_disk).f_blocks, "the end of the spool file")
        fill(full_disk)
        assert upload(server, 5000).status == 507
        assert server.get()[0] == 200
        (full_disk / "filler").unlink()
        assert upload(server, 5000).body == b"hello 5000"


def test_logs_on_a_full_file_system_lose_lines_and_say_how_many(folder, full_disk):
    access, errors = full_disk / "access.log", full_disk / "error.log"
    arguments = ("--workers", "1", "--access-logfile", str(access), "--error-logfile", str(errors), "--bind")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Server(folder, *arguments, f"127.0.0.1:{port}", "app:app", bind=()) as server:
        wait_for(lambda: errors.exists() and "is ready" in errors.read_text(), "the worker")
        with Client(f"http://127.0.0.1:{port}") as client:
            fill(full_disk)
            for _ in range(300):
                assert client.get("/greedy").status == 500
                assert client.get("/" + "x" * 100).status == 200
            (full_disk / "filler").unlink()

            def told():
                assert client.get("/greedy").status == 500
                return (
                    "log lines were lost: " in errors.read_text() and "access log lines were lost" in errors.read_text()
                )

            wait_for(told, "both losses to be told")
            assert "No space left on device" in errors.read_text()
    assert server.text == ""


# Memory and threads


def test_a_request_without_memory_is_that_requests_500(folder):
    with Server(folder, "--workers", "1", "app:app") as server, Client(server.url) as client:
        assert client.get("/greedy").status == 500
        assert "MemoryError" in server.text
        assert client.get().status == 200


@pytest.mark.skipif(ADDRESS_SANITIZED, reason="no room under RLIMIT_AS")
def test_a_body_without_memory_is_that_requests_500(folder):
    (folder / "pronghorn.toml").write_text('body_memory = "1GiB"\nbuffer_memory = "4GiB"\nworkers = 1\nthreads = 1\n')
    with Server(folder, "app:app", LIMIT="RLIMIT_AS", VALUE=str(400 << 20)) as server:
        with Client(server.url) as client:
            assert client.get("/limit").status == 200
        for _ in range(3):
            answer = upload(server, 500 << 20)
            assert (answer.status, answer.closes) == (500, True)
        assert "No memory for a request body" in server.text
        assert server.get()[0] == 200
        assert upload(server, 1 << 20).status == 200
        assert len(server.workers()) == 1


@pytest.mark.skipif(ADDRESS_SANITIZED, reason="no room under RLIMIT_AS")
def test_threads_that_cannot_be_started(folder):
    """With RLIMIT_AS a thread's stack cannot be mapped: fewer calls run at once, and somebody is left to lead."""
    size = "open('/proc/self/statm').read().split()[0]"
    source = APP.replace("limit(VALUE)\n    if path", f"limit(int({size}) * 4096 + (6 << 20))\n    if path")
    (folder / "app.py").write_text(source)
    with Server(folder, "--workers", "1", "--threads", "16", "app:app", LIMIT="RLIMIT_AS") as server:
        server.ready(1)
        with Client(server.url) as client:
            assert client.get("/limit").status == 200
        holders = [Client(server.url) for _ in range(8)]
        for client in holders:
            client.request("/hold")
        server.said("Cannot start a thread beside the")
        with Client(server.url) as client:
            client.send(b"BAD\r\n\r\n")
            assert client.read_response().status == 400  # the loop turns, whatever the calls do
        (folder / "release").touch()
        for one in holders:
            assert one.read_response().status == 200
            one.socket.close()
        assert server.get("/unlimit")[0] == 200

"""The baton: who runs the application on which thread, and what happens when threads run out."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pronghorn.testing import serve
from tests.support.apps import StartResponse
from tests.support.raw import Client, wait_for


def answer(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0) … work(count - 1) at the same time; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:  # noqa: BLE001  # raised below, in the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class Gate:
    """An application whose `/wait` calls stay inside until the test lets them go."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.release = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            assert self.release.wait(10)
            with self.lock:
                self.inside -= 1
        return answer(start_response, environ["PATH_INFO"].encode())


def test_five_sleeping_handlers_run_at_the_same_time() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        time.sleep(0.2)
        return answer(start_response, b"slept")

    with serve(app, threads=8) as url:

        def one(number: int) -> None:
            with Client(url) as client:
                assert client.get().body == b"slept"

        began = time.monotonic()
        in_threads(5, one)
        assert 0.2 <= time.monotonic() - began < 0.6  # one after the other would be 1.0


def test_an_application_that_never_blocks_sees_one_thread() -> None:
    seen: Counter[int] = Counter()

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        seen[threading.get_ident()] += 1
        return answer(start_response, b"")

    with serve(app, threads=8) as url, Client(url) as client:
        for _ in range(500):
            assert client.get().status == 200
    # The watchdog cannot tell a thread that the machine left without a core for a whole tick from one that blocks.
    assert seen.most_common(1)[0][1] >= 490


def test_fast_requests_are_answered_while_every_thread_but_one_blocks() -> None:
    gate = Gate()
    with serve(gate, threads=4) as url:
        waiting = [Client(url) for _ in range(3)]
        for client in waiting:
            client.request("/wait")
        wait_for(lambda: gate.inside == 3, "three calls inside the application")
        with Client(url) as client:
            for _ in range(50):
                assert client.get("/fast").body == b"/fast"
        gate.release.set()
        for client in waiting:
            assert client.read_response().body == b"/wait"
            client.socket.close()


def test_requests_beyond_the_threads_wait_in_order() -> None:
    order: list[str] = []
    gate = Gate()

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        result = gate(environ, start_response)
        order.append(environ["PATH_INFO"])
        return result

    with serve(app, threads=2) as url:
        blocked = [Client(url) for _ in range(2)]
        for client in blocked:
            client.request("/wait")
        wait_for(lambda: gate.inside == 2, "both threads inside the application")
        queued = [Client(url) for _ in range(5)]
        for number, client in enumerate(queued):
            client.request(f"/{number}")
            with Client(
                url
            ) as probe:  # its refusal to be read as a request shows that the loop has seen the one before
                probe.send(b"\x00")
                assert probe.read_response().status == 400
        assert order == []
        gate.release.set()
        for number, client in enumerate(queued):
            assert client.read_response().body == f"/{number}".encode()
            client.socket.close()
        for client in blocked:
            assert client.read_response().status == 200
            client.socket.close()
    assert gate.most == 2
    assert [name for name in order if name != "/wait"] == [f"/{number}" for number in range(5)]


def test_one_thread_never_runs_two_calls_at_once_and_slow_clients_hold_nothing_up() -> None:
    gate = Gate()
    gate.release.set()
    with serve(gate, threads=1) as url:
        slow = [Client(url) for _ in range(20)]
        for client in slow:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow")

        def one(number: int) -> None:
            with Client(url) as client:
                for _ in range(20):
                    assert client.get("/wait").status == 200

        in_threads(4, one)
        for client in slow:
            client.send(b": 1\r\n\r\n")
            assert client.read_response().status == 200
            client.socket.close()
    assert gate.most == 1


def test_a_full_queue_turns_requests_away() -> None:
    gate = Gate()
    with (
        serve(gate, threads=1, queue_limit=1) as url,
        Client(url) as first,
        Client(url) as second,
        Client(url) as third,
    ):
        first.request("/wait")
        wait_for(lambda: gate.inside == 1, "the thread inside the application")
        second.request("/second")
        third.request("/third")
        refused = None
        for client in (third, second):  # either may have been queued first
            client.socket.settimeout(1.0)
            try:
                refused = client.read_response()
            except TimeoutError:
                continue
            break
        assert refused is not None
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert not refused.closes
        gate.release.set()
        assert first.read_response().status == 200


def test_a_request_that_waits_too_long_for_a_thread_is_turned_away() -> None:
    gate = Gate()
    with serve(gate, threads=1, queue_timeout=0.2) as url, Client(url) as first, Client(url) as second:
        first.request("/wait")
        wait_for(lambda: gate.inside == 1, "the thread inside the application")
        began = time.monotonic()
        response = second.get("/second")
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
        assert 0.15 <= time.monotonic() - began < 2
        gate.release.set()
        assert first.read_response().status == 200
        assert second.get("/again").body == b"/again"


def test_responses_saved_up_for_one_send_do_not_wait_for_a_call_that_blocks() -> None:
    gate = Gate()
    with serve(gate, threads=4) as url, Client(url) as client:
        client.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response().body == b"/first"
        assert gate.inside <= 1
        gate.release.set()
        assert client.read_response().body == b"/wait"


def test_a_background_thread_of_the_application_ticks_while_the_server_is_idle() -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while ticks < 20:
            time.sleep(0.01)
            ticks += 1

    with serve(lambda environ, start_response: answer(start_response, b""), threads=2) as url, Client(url) as client:
        client.get()
        thread = threading.Thread(target=tick)
        began = time.monotonic()
        thread.start()
        thread.join()
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_nothing_is_lost_or_crossed_under_random_delays(threads: int) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    inside = 0
    most = 0
    lock = threading.Lock()

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        nonlocal inside, most
        token = environ["PATH_INFO"]
        chance = random.Random(f"{seed}{token}")
        with lock:
            inside += 1
            most = max(most, inside)
        delay = chance.choice((0, 0, 0, 0.0005, 0.002, 0.005))
        if delay:
            time.sleep(delay)
        if chance.random() < 0.1:
            end = time.monotonic() + 0.007
            while time.monotonic() < end:
                pass
        with lock:
            inside -= 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        if chance.random() < 0.3:
            return (piece.encode() for piece in (token[:3], token[3:]))
        return [token.encode()]

    def one(number: int) -> None:
        chance = random.Random(seed + number)
        client = Client(url)
        for turn in range(60):
            tokens = [f"/{number}-{turn}-{i}" for i in range(chance.choice((1, 1, 1, 5)))]
            client.send(b"".join(f"GET {token} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for token in tokens))
            for token in tokens:
                response = client.read_response()
                assert (response.status, response.body) == (200, token.encode())
            if chance.random() < 0.1:
                client.socket.close()
                client = Client(url)
        client.socket.close()

    with serve(app, threads=threads) as url:
        in_threads(12, one)
    assert most <= threads


BESIDE = """
import gc, http.client, time
import pronghorn
from pronghorn.testing import serve

def app(environ, start_response):
    start_response("200 OK", [])
    return [str(pronghorn.disconnected()).encode()]

def get(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/")
    print(connection.getresponse().read().decode())
    connection.close()

with serve(app) as threads:
    get(threads)
    with serve(app, worker_class="gevent") as greenlets:
        get(greenlets)
        get(threads)
    get(threads)
while any(type(thing).__name__ == "PoolThread" for thing in gc.get_objects()):
    time.sleep(0.01)
"""


def test_an_engine_of_threads_goes_on_beside_one_of_greenlets() -> None:
    run = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=30, check=False)
    assert (run.stdout.split("\n"), run.stderr) == (["False"] * 4 + [""], "")

"""Every attack in a short form: good clients are served meanwhile, no thread is held, and attackers are cut off.

The long form, with thousands of them, and other servers beside: `make slow`.
"""

import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest
from bench.apps.attacked import app

from pronghorn.testing import serve_engine
from tests.slow.attacks import ATTACKS
from tests.slow.crowd import Attackers
from tests.slow.probe import probe
from tests.support.raw import Client, wait_for

COUNT = 60
LEAST = 8
PERIOD = 0.3
SECONDS = 1.0

SCALED = {"header_timeout": 1, "body_timeout": 1, "send_timeout": 1, "min_rate": 200_000, "threads": 2}
"""A thirtieth to a sixtieth of the defaults."""

MEMORY = 8 << 20

READERS = [("streams", 2), *((kind, 8) for kind, attack in ATTACKS.items() if attack.reads_slowly)]
"""With how many threads. What is no stream leaves without one."""


def clients(kind):
    """How many attack; of those that ask for much there are fewer."""
    return max(LEAST, int(COUNT * min(ATTACKS[kind].times, 1)))


@pytest.fixture
def release():
    """Lets requests for /hold go on."""
    return threading.Event()


@pytest.fixture
def under_attack(tmp_path, release):
    """Serves under an attack: the engine, its address, and the attackers, who are there."""

    def served(environ, start_response):
        if environ["PATH_INFO"] == "/hold":
            assert release.wait(30)
        return app(environ, start_response)

    @contextmanager
    def attack(kind, **options):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        address = listener.getsockname()
        with serve_engine(served, [listener], buffer_memory=MEMORY, spool_dir=str(tmp_path), **options) as engine:
            assert probe(address, 0.1).lost == 0
            attackers = Attackers(kind, address, clients(kind), PERIOD, again=False)
            with attackers:
                assert attackers.connected == clients(kind)
                # Their own requests come all at once, and are right: they are answered like others.
                wait_for(lambda: not engine.slot.queued, "their requests to be taken")
                yield engine, address, attackers
            wait_for(lambda: engine.connections_open == 0, "all of them to be gone")
            wait_for(lambda: (engine.slot.buffered, engine.slot.spooled) == (0, 0), "nothing to be kept")

    return attack


@pytest.mark.parametrize("kind", ATTACKS)
def test_attack(kind, under_attack):
    stays = ATTACKS[kind].stays
    with under_attack(kind, **SCALED) as (engine, address, attackers):
        assert probe(address, SECONDS).lost == 0
        # No thread waits inside the application for a client while another request needs it.
        wait_for(lambda: engine.slot.active < SCALED["threads"] and not engine.slot.queued, "a free thread")
        assert engine.slot.buffered < 3 * MEMORY
        if not stays:
            wait_for(lambda: cut_off(engine) >= clients(kind) // 2, "attackers to be cut off")
    assert attackers.result["refused"] == 0
    assert bool(attackers.result["cut"]) != stays


def cut_off(engine):
    """How many were."""
    return sum(engine.slot.incidents[kind] for kind in ("silent", "late_head", "late_body", "late_reader", "refused"))


@pytest.mark.parametrize(("kind", "threads"), READERS)
def test_at_saturation_no_thread_is_held_by_a_slow_reader(kind, threads, under_attack, release):
    """Nobody is cut off, so that a thread that is held stays so; as many requests as there are threads need them."""
    with under_attack(kind, threads=threads) as (engine, address, attackers), ExitStack() as stack:
        stack.callback(release.set)
        good = [stack.enter_context(Client(f"http://127.0.0.1:{address[1]}")) for _ in range(threads)]
        for client in good:
            client.request("/hold")
        wait_for(
            lambda: [request.path for request in engine.slot.running()] == ["/hold"] * threads,
            "every thread to run a good client's request",
        )
        release.set()
        assert [client.read_response().status for client in good] == [200] * threads
    assert attackers.result["cut"] == 0

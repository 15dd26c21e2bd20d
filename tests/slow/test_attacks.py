"""Every attack in a short form: good clients are served meanwhile, no thread is held, and attackers are cut off.

The long form, with thousands of them, and other servers beside: `make slow`.
"""

import socket
import threading
from contextlib import ExitStack

import pytest
from bench.apps.attacked import app

from pronghorn.testing import serve_engine
from tests.slow.attacks import ATTACKS
from tests.slow.crowd import Attackers
from tests.slow.probe import probe
from tests.support.raw import Client, wait_for

COUNT = 60
PERIOD = 0.3
SECONDS = 1.0

SCALED = {"header_timeout": 1, "body_timeout": 1, "send_timeout": 1, "min_rate": 200_000}
"""A thirtieth to a sixtieth of the defaults."""

MEMORY = 8 << 20

CASES = [(kind, threads) for kind, attack in ATTACKS.items() for threads in ((2, 8) if attack.reads_slowly else (2,))]
"""Who reads slowly could hold a thread; with eight, one that is not needed may be held, until it is."""


@pytest.mark.parametrize(("kind", "threads"), CASES)
def test_attack(kind, threads, tmp_path):
    attack, release = ATTACKS[kind], threading.Event()

    def served(environ, start_response):
        if environ["PATH_INFO"] == "/hold":
            assert release.wait(10)
        return app(environ, start_response)

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    address = listener.getsockname()
    options = SCALED | {"threads": threads, "buffer_memory": MEMORY, "spool_dir": str(tmp_path)}
    with serve_engine(served, [listener], **options) as engine, ExitStack() as stack:
        stack.callback(release.set)
        assert probe(address, 0.1).lost == 0
        attackers = Attackers(kind, address, COUNT, PERIOD, again=False)
        with attackers:
            assert attackers.connected == COUNT
            # Their own requests come all at once, and are right: they are answered like others.
            wait_for(lambda: not engine.slot.queued, "their requests to be taken")
            hold_every_thread(engine, threads, f"http://127.0.0.1:{address[1]}", stack)
            release.set()
            assert probe(address, SECONDS).lost == 0
            # No thread waits inside the application for a client while another request needs it.
            wait_for(lambda: engine.slot.active < threads and not engine.slot.queued, "a free thread")
            assert engine.slot.buffered < 3 * MEMORY
            if not attack.stays:
                wait_for(lambda: cut_off(engine) >= COUNT // 2, "attackers to be cut off")
        assert attackers.result["refused"] == 0
        assert bool(attackers.result["cut"]) != attack.stays
        stack.close()
        wait_for(lambda: engine.connections_open == 0, "all of them to be gone")
        wait_for(lambda: (engine.slot.buffered, engine.slot.spooled) == (0, 0), "nothing to be kept")


def hold_every_thread(engine, threads, url, stack):
    """As many requests that wait as there are threads: each gets one, whoever reads slowly."""
    clients = [stack.enter_context(Client(url)) for _ in range(threads)]
    for client in clients:
        client.request("/hold")
    wait_for(
        lambda: [request.path for request in engine.slot.running()] == ["/hold"] * threads,
        "every thread to run a good client's request",
    )


def cut_off(engine):
    """How many were."""
    return sum(engine.slot.incidents[kind] for kind in ("silent", "late_head", "late_body", "late_reader", "refused"))

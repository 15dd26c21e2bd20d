"""Every slow attack in a short form: a good client is served meanwhile, no thread is held, and attackers are cut off.

The long form, with thousands of them, and other servers beside: `make slow`.
"""

import socket

import pytest
from bench.apps.attacked import app

from pronghorn.testing import serve_engine
from tests.slow import report
from tests.slow.attacks import ATTACKS
from tests.slow.crowd import Attackers
from tests.slow.probe import probe
from tests.support.raw import wait_for

COUNT = 60
PERIOD = 0.3
SECONDS = 1.0

SCALED = {"header_timeout": 1, "body_timeout": 1, "send_timeout": 1, "min_rate": 200_000, "threads": 2}
"""A thirtieth to a sixtieth of the defaults."""

MEMORY = 8 << 20


@pytest.mark.parametrize("kind", ATTACKS)
def test_attack(kind, tmp_path):
    attack = ATTACKS[kind]
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    address = listener.getsockname()
    with serve_engine(app, [listener], buffer_memory=MEMORY, spool_dir=str(tmp_path), **SCALED) as engine:
        assert probe(address, 0.1).lost == 0
        attackers = Attackers(kind, address, COUNT, PERIOD, again=False)
        with attackers:
            assert attackers.connected == COUNT
            # Their own requests come all at once, and are right: they are answered like others.
            wait_for(lambda: not engine.slot.queued, "their requests to be taken")
            assert probe(address, SECONDS).lost == 0
            # No thread waits inside the application for a client while another request needs it.
            wait_for(lambda: engine.slot.active < SCALED["threads"] and not engine.slot.queued, "a free thread")
            assert engine.slot.buffered < 3 * MEMORY
            if not attack.stays:
                wait_for(lambda: cut_off(engine) >= COUNT // 2, "attackers to be cut off")
        assert attackers.result["refused"] == 0
        assert bool(attackers.result["cut"]) != attack.stays
        wait_for(lambda: engine.connections_open == 0, "all of them to be gone")
        wait_for(lambda: (engine.slot.buffered, engine.slot.spooled) == (0, 0), "nothing to be kept")


def cut_off(engine):
    """How many were."""
    return sum(engine.slot.incidents[kind] for kind in ("silent", "late_head", "late_body", "late_reader"))


def test_the_page_shows_the_results_that_are_kept():
    page = report.PAGE.read_text()
    assert report.render(page) == page

"""The arbiter itself: killed, stopped for a while, and under every signal at any moment."""

import contextlib
import re
import signal
import socket
import time
from email.utils import parsedate_to_datetime

from tests.faults.cases.recycling import ask
from tests.faults.scene import WORKERS, Case, Scene
from tests.faults.servers import Loaded
from tests.faults.shims import CLOCK, preload

GONE = 2.0
"""Seconds after the death of the arbiter in which its workers leave."""


def kill_arbiter(scene: Scene) -> None:
    """Nobody is left, and the address is free for the next."""
    with scene.serve() as server:
        for _ in range(scene.rounds):
            with scene.load(server, until_refused=True, keeping=8, closing=8) as load:
                began = time.monotonic()
                server.kill(signal.SIGKILL)
                left = scene.eventually("the workers leave", lambda: not server.processes(), 12)
                gone = time.monotonic() - began
                scene.measure("until no process is left", gone)
                scene.claim(f"they leave within {GONE} s", left and gone <= GONE, gone)
                scene.claim("the address is free", _is_free(server.address))
                load.stop()
                scene.claim("every answer is right", load.tally.failed["wrong"] == 0, load.tally.failures[:5])


def _is_free(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_server(address):
        return True
    return False


def stop_arbiter(scene: Scene) -> None:
    """The arbiter does not run for twice the timeout, as on a machine that was suspended: nobody is to blame."""
    with scene.serve(timeout=2) as server, scene.load(server) as load:
        before = server.crew()
        server.kill(signal.SIGSTOP)
        time.sleep(2 * 2 + scene.rounds)  # the fault is time itself
        server.kill(signal.SIGCONT)
        time.sleep(3)  # and what must not follow has time to
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("no worker was replaced", server.crew() == before, server.text[-1500:])


def clock(scene: Scene) -> None:
    """The time of day jumps by an hour, forth and back."""
    offset = scene.folder / "offset"
    wrap = preload(CLOCK, scene.folder, offset)
    with scene.serve(wrap, timeout=2, max_requests=10**9) as server, scene.load(server, think=0.05) as load:
        before = server.crew()
        for _ in range(scene.rounds):
            for seconds in (3600, -3600):
                draft = scene.folder / "offset.draft"
                draft.write_text(str(seconds))
                draft.replace(offset)
                scene.eventually("the Date header follows", lambda seconds=seconds: _is_off(server, seconds), 3)
                time.sleep(2.5)  # longer than the timeout
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("no worker was replaced", server.crew() == before, server.text[-1500:])
        began = time.monotonic()
        server.kill(signal.SIGTERM)
        offset.unlink()
        scene.eventually("it exits", lambda: server.process.poll() is not None)
        scene.measure("TERM to exit", time.monotonic() - began)


def _is_off(server: Loaded, seconds: int) -> bool:
    date = re.search(rb"\r\nDate: ([^\r]+)\r\n", ask(server, "/page/clock/1"))[1].decode()
    off = parsedate_to_datetime(date).timestamp() - time.time()
    return abs(off - seconds) < 5


MILD = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH)
"""Every signal that means something and is no end. Not USR2: together with HUP it is an upgrade and its undoing, after
which two arbiters serve until the operator sends one away."""


def signals(scene: Scene) -> None:
    """Signals in any order at any moment, also while it starts, reloads and changes its size."""
    with scene.serve(accesslog="access.log") as server, scene.load(server) as load:
        for _ in range(scene.rounds * 20):
            server.kill(scene.dice.choice(MILD))
            time.sleep(scene.dice.choice((0, 0, 0.01, 0.1)))
        scene.eventually("the end is one arbiter with all its workers", lambda: _is_settled(server), 30)
        load.stop()
        scene.claim_none_failed(load.tally)
        _claim_lines(scene, load.tally.correct)
        began = time.monotonic()
        server.kill(signal.SIGTERM)
        for _ in range(3):
            server.kill(scene.dice.choice(MILD))
        scene.eventually("TERM ends it, whatever comes after", lambda: not server.processes())
        scene.measure("TERM to exit", time.monotonic() - began)


def _is_settled(server: Loaded) -> bool:
    """Nobody else is there, also none that prepares a reload or an upgrade."""
    crew = server.crew()
    if not crew:
        server.kill(signal.SIGHUP)  # WINCH sent them away: this fetches them back
    elif len(crew) != WORKERS and server.processes() == {server.arbiter, *crew}:
        server.kill(signal.SIGHUP)  # so many as TTIN and TTOU left: this makes them as many as the settings say
    time.sleep(0.5)
    return len(server.crew()) == WORKERS and server.processes() == {server.arbiter, *server.crew()}


def _claim_lines(scene: Scene, correct: int) -> None:
    log = scene.folder / "access.log"
    scene.eventually("every answer has its line", lambda: log.read_bytes().count(b"\n") >= correct, 3)
    lines = log.read_text().splitlines()
    torn = [line for line in lines if not (line.startswith("127.0.0.1 ") and line.endswith('"'))]
    scene.claim("no line of the access log is torn", not torn, torn[:3])


ARBITER = (
    Case("kill_arbiter", "`kill -9` of the arbiter", kill_arbiter, short=1, long=1),
    Case("stop_arbiter", "the arbiter is stopped for twice `timeout`, then goes on", stop_arbiter, short=1, long=6),
    Case("clock", "the time of day jumps by an hour, forth and back", clock, short=1, long=5),
    Case("signals", "all signals in any order", signals, short=2, long=20),
)

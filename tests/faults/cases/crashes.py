"""Workers that die: killed, crashing at once, stopped, refused by the system."""

import signal
import time

from tests.faults.cases.recycling import ask
from tests.faults.scene import THREADS, WORKERS, Case, Scene
from tests.faults.servers import Loaded
from tests.faults.shims import NO_FORK, preload

SOON = 1.0
"""Seconds from the death of a worker until its replacement answers, the application's own import left out."""


def kill_workers(scene: Scene) -> None:
    """One worker is killed every second."""
    killed: list[float] = []
    with scene.serve() as server, scene.load(server) as load:
        for _ in range(scene.rounds):
            known = server.diary("imported")
            crew = sorted(server.crew() & set(known))
            killed.append(time.monotonic())
            server.kill(signal.SIGKILL, scene.dice.choice(crew))
            scene.eventually(
                "a replacement is imported", lambda known=known: len(server.diary("imported")) > len(known)
            )
            time.sleep(max(0.0, killed[-1] + 1 - time.monotonic()))
        scene.eventually("all workers are there", lambda: len(server.crew()) == WORKERS)
        load.stop()
        scene.claim_none_failed(load.tally, THREADS * scene.rounds)
        worst = max(_lost_at(load.tally.failures, at) for at in killed)
        scene.measure("lost by one kill, at most (count)", worst)
        scene.claim("a kill takes no more than the worker's own requests", worst <= THREADS, worst)
        _claim_quick(scene, server, load.tally.pids, killed)


def _lost_at(failures: list[dict], killed: float) -> int:
    return sum(killed <= line["at"] < killed + 1 and line["again"] != "correct" for line in failures)


def _claim_quick(scene: Scene, server: Loaded, answered: dict[str, float], killed: list[float]) -> None:
    begun, ended = server.diary("import"), server.diary("imported")
    born = sorted(pid for pid, at in ended.items() if at > killed[0])
    answers = sorted((answered[str(pid)] - (ended[pid] - begun[pid]), pid) for pid in born if str(pid) in answered)
    delays = [at - max(time for time in killed if time < at) for at, _ in answers]
    scene.claim("every replacement answers", len(delays) == len(born), f"{len(delays)} of {len(born)}")
    scene.measure("until the replacement answers, at most", max(delays, default=0))
    scene.claim(f"a replacement answers within {SOON} s", max(delays, default=99) <= SOON, delays)


def crash_at_import(scene: Scene) -> None:
    """The new code kills every worker that imports it; the server as it is has to be left alone."""
    with scene.serve() as server, scene.load(server) as load:
        before = server.crew()
        scene.release(0, "import ctypes; ctypes.string_at(0)")
        server.kill(signal.SIGHUP)
        scene.eventually("the new code is tried", lambda: len(server.diary("import")) > WORKERS)
        time.sleep(1)  # and what must not follow has time to
        scene.claim("the old workers serve", server.crew() == before, server.crew())
        server.kill(signal.SIGKILL, min(before))
        time.sleep(scene.rounds)  # how often it tries to fork can only be counted over a time
        imports = sum(at > server.started for at in server.diary("import").values())
        load.stop()
        scene.claim("no storm of forks", imports <= WORKERS + scene.rounds + 3, imports)
        began = time.monotonic()
        server.kill(signal.SIGTERM)
        scene.eventually("TERM ends it", lambda: server.process.poll() is not None)
        scene.measure("TERM to exit", time.monotonic() - began)


def crash_at_start(scene: Scene) -> None:
    """Nothing ever boots: the command ends by itself, with a status of its own, after few attempts."""
    scene.release(0, "import ctypes; ctypes.string_at(0)")
    settings = {"workers": WORKERS, "threads": THREADS}
    began = time.monotonic()
    with scene.kind(scene.folder, settings) as server:
        ended = scene.eventually("the command ends by itself", lambda: server.process.poll() is not None, 20)
        scene.measure("until it gave up", time.monotonic() - began)
        status = server.process.poll()
        scene.claim("its exit status is a failure's", ended and status not in (None, 0), status)
        scene.claim("it tried a few times, not for ever", len(server.diary("import")) <= 4 * WORKERS, server.text)


def crash_by_request(scene: Scene) -> None:
    """A request that crashes its worker is sent again and again, faster than a worker settles."""
    with scene.serve() as server, scene.load(server, keeping=8, closing=8) as load:
        for _ in range(scene.rounds):
            scene.claim("the request that crashes has no answer", _is_reset(server, "/trouble/segfault"))
            time.sleep(0.5)  # its sender tries once more
        scene.eventually("all workers are there again", lambda: len(server.crew()) == WORKERS)
        load.stop()
        scene.claim_none_failed(load.tally, THREADS * scene.rounds)
        scene.claim("somebody always serves", load.tally.longest_pause < 2, load.tally.longest_pause)


def _is_reset(server: Loaded, path: str) -> bool:
    try:
        return ask(server, path) == b""
    except ConnectionResetError:
        return True


def stop_worker(scene: Scene) -> None:
    """A worker is stopped: its heart beats no more."""
    with scene.serve(timeout=2, graceful_timeout=2) as server, scene.load(server, patience=12.0) as load:
        victim = min(server.crew())
        began = time.monotonic()
        server.kill(signal.SIGSTOP, victim)
        scene.eventually("the stopped worker is gone", lambda: victim not in server.processes(), 20)
        scene.measure("until it is gone", time.monotonic() - began)
        scene.eventually("all workers are there", lambda: len(server.crew()) == WORKERS)
        time.sleep(1)  # the load goes on with the replacement
        load.stop()
        scene.claim_none_failed(load.tally, THREADS)


def refuse_forks(scene: Scene) -> None:
    """The system refuses new processes for some seconds while workers are killed."""
    refuse = scene.folder / "refuse"
    wrap = preload(NO_FORK, scene.folder, refuse)
    with scene.serve(wrap) as server, scene.load(server) as load:
        refuse.touch()
        for victim in sorted(server.crew())[:2]:
            server.kill(signal.SIGKILL, victim)
        time.sleep(scene.rounds)  # the shortage has to last for a while
        lines = server.text.count("cannot fork")
        scene.claim("it says so, not too often", 1 <= lines <= scene.rounds + 2, lines)
        scene.claim("the rest serves", len(server.crew()) == WORKERS - 2, server.text)
        refuse.unlink()
        scene.eventually("all workers are there again", lambda: len(server.crew()) == WORKERS, 40)
        load.stop()
        scene.claim_none_failed(load.tally, 2 * THREADS)


CRASHES = (
    Case("kill_workers", "`kill -9` of a worker every second", kill_workers, short=4, long=60),
    Case("crash_by_request", "a request that crashes its worker", crash_by_request, short=6, long=60),
    Case("crash_at_start", "workers crash while they import", crash_at_start, short=1, long=1),
    Case("crash_at_import", "HUP to code that crashes, then a lost worker", crash_at_import, short=3, long=20),
    Case("stop_worker", "a worker is stopped (SIGSTOP), `timeout` 2 s", stop_worker, short=1, long=1),
    Case(
        "refuse_forks",
        "fork fails while two workers are lost",
        refuse_forks,
        short=3,
        long=20,
        no_gunicorn="not comparable",
    ),
)

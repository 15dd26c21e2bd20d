"""A signal at any moment, in any number, and time in which the arbiter does not run."""

import contextlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.process import alive
from tests.support.raw import wait_for

HARMLESS = [
    signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT,
]  # fmt: skip
STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]
SLOW = "import time\ntime.sleep(0.2)\n"


def wanted(server):
    """How many workers the log says there should be."""
    number = 2
    for line in server.lines:
        if found := re.search(r"(\d+) workers? wanted", line):
            number = int(found[1])
        elif re.search(r"generation \d+ serves($|; the old workers)", line):
            number = 2  # A reload sets it to what the settings say.
    return number


def shake(server, chance, numbers, count):
    """Sends signals with random small gaps, conditioned on nothing."""
    for _ in range(count):
        number = chance.choice(numbers)
        with contextlib.suppress(ProcessLookupError):
            server.process.send_signal(number)
        # The gap is what is random here, not a wait for something.
        time.sleep(chance.choice([0, 0, 0.001, 0.01, 0.05, 0.2]))


def begins_to_handle_signals(server):
    """Before that a signal ends the interpreter, as it ends any program that is just being started."""
    mask = 1 << (signal.SIGHUP - 1)

    def handled():
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.partition("SigCgt:")[2].split()[0], 16) & mask

    wait_for(handled, "the handlers")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_random_signals_that_end_nothing(start, place, seed, preload):
    chance = random.Random(seed)
    (place / "app.py").write_text((place / "app.py").read_text() + SLOW)
    server = start("--workers", "2", "--pid", "run.pid", *preload, "app:app")
    begins_to_handle_signals(server)
    shake(server, chance, HARMLESS, 40)
    server.signal(signal.SIGHUP)  # after a WINCH only it brings the workers back
    wait_for(
        lambda: (
            "is ready after" in server.text
            and "reloading" not in server.lines[-1]
            and len(server.workers()) == wanted(server)
        ),
        f"the right number of workers (seed {seed})",
        30,
    )
    assert server.get()[0] == 200
    assert server.stop() == 0
    assert not (place / "run.pid").exists()


@pytest.mark.parametrize("seed", range(12))
def test_random_signals_with_a_stop_among_them(start, place, seed):
    chance = random.Random(100 + seed)
    if chance.random() < 0.7:
        (place / "app.py").write_text((place / "app.py").read_text() + SLOW)
    preload = chance.choice([[], ["--preload"]])
    delay = chance.choice(["0", "0.3"])
    bind = f"unix:{place}/a.sock"
    options = ["--workers", "2", "--pid", "run.pid", "--drain-delay", delay, *preload]
    server = start(*options, "app:app", bind=(bind,))
    begins_to_handle_signals(server)
    shake(server, chance, HARMLESS, chance.randrange(15))
    server.process.send_signal(chance.choice(STOPS))
    shake(server, chance, HARMLESS + STOPS, 10)
    assert server.wait() == 0, f"seed {seed}: {server.text}"
    wait_for(lambda: not server.processes(), f"every process to be gone (seed {seed})")
    assert not (place / "run.pid").exists()
    assert not (place / "a.sock").exists()
    assert "Traceback" not in server.text


@pytest.mark.parametrize("number", STOPS)
def test_a_stop_during_the_import_of_a_preloaded_application(start, place, number):
    (place / "app.py").write_text("import time\nopen('importing', 'w').close()\ntime.sleep(600)\n")
    server = start("--preload", "--pid", "run.pid", "app:app", bind=(f"unix:{place}/a.sock",))
    wait_for((place / "importing").exists, "the import")
    server.signal(number)
    assert server.wait() == 0
    assert not (place / "run.pid").exists()
    assert not (place / "a.sock").exists()
    assert "Traceback" not in server.text


@pytest.mark.parametrize("numbers", [[signal.SIGTTIN, signal.SIGTTOU], [signal.SIGUSR1], [signal.SIGHUP]])
def test_a_thousand_signals_a_second(start, numbers):
    server = start("--workers", "2", "app:app").ready(2)
    began = time.monotonic()
    for count in range(1000):
        server.process.send_signal(numbers[count % len(numbers)])
        time.sleep(max(0, began + (count + 1) / 1000 - time.monotonic()))
        if count % 100 == 0:
            assert server.get()[0] == 200
    wait_for(lambda: len(server.workers()) == wanted(server), "the right number of workers")
    assert server.get()[0] == 200
    assert server.stop() == 0


def test_an_arbiter_that_was_stopped_kills_no_healthy_worker(start):
    server = start("--workers", "2", "--timeout", "1s", "app:app").ready(2)
    before = server.workers()
    server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        # The time in which it does not run is what is tested.
        wait_for(lambda: server.get()[0] == 200 and time.monotonic() > began + 3.5, "more than the timeout to pass")
    finally:
        server.signal(signal.SIGCONT)
    server.signal(signal.SIGTTIN)
    server.said("is ready after", 3)
    began = time.monotonic()
    wait_for(lambda: server.get()[0] == 200 and time.monotonic() > began + 2, "some ticks to pass")
    assert before < server.workers()
    assert "ERROR" not in server.text


def test_a_whole_group_that_was_stopped_goes_on(start, place):
    (place / "app.py").write_text((place / "app.py").read_text() + "\ntime.sleep(1.5)\n")
    server = start("--workers", "2", "--timeout", "1s", "--boot-timeout", "2s", "app:app")
    wait_for(lambda: len(server.workers()) == 2, "the workers to boot")
    os.killpg(server.pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() > began + 3, "more than all timeouts to pass")
    os.killpg(server.pid, signal.SIGCONT)
    server.ready(2)
    assert server.get()[0] == 200
    assert "ERROR" not in server.text


def test_a_repeated_term_lets_requests_finish_and_int_does_not(start, place):
    for last, finishes in ((signal.SIGTERM, True), (signal.SIGINT, False)):
        server = start("--workers", "1", "app:app").ready(1)
        result = []

        def ask(server=server, result=result):
            with contextlib.suppress(OSError):
                result.append(server.get("/sleep/3"))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for((place / "inside").exists, "the application to be called")
        (place / "inside").unlink()
        server.signal(signal.SIGTERM)
        server.said("stopping: requests that run get")
        began = time.monotonic()
        wait_for(lambda began=began: time.monotonic() > began + 1.2, "the second signal not to be an echo")
        server.signal(last)
        assert server.wait() == 0
        asking.join()
        assert bool(result) is finishes


def test_a_delayed_drain(start):
    server = start("--workers", "2", "--drain-delay", "2s", "app:app").ready(2)
    server.signal(signal.SIGTERM)
    server.said(r"stopping in 2 s \(drain_delay\): until then all is served, and readiness is off")
    victim = min(server.workers())
    os.kill(victim, signal.SIGKILL)
    server.said("is ready after", 3)
    server.signal(signal.SIGHUP)
    server.said("HUP is ignored: the server is stopping")
    server.signal(signal.SIGTERM)
    assert server.get()[0] == 200
    assert server.wait() == 0


def test_int_ends_the_delay(start):
    server = start("--workers", "2", "--drain-delay", "600s", "app:app").ready(2)
    server.signal(signal.SIGTERM)
    server.said("stopping in 600 s")
    server.signal(signal.SIGINT)
    assert server.wait() == 0


BECOME = "import os; os.setresuid(61234, 61234, 61234)\n" if os.geteuid() == 0 else ""
"""A limit of processes means nothing to root."""

SERVE = f"""
import ctypes, sys
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
{BECOME}
# Only the capabilities to read root's files stay: without the others a limit of processes holds.
libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(6, 6, 0, 0, 0, 0))
from pronghorn.cli.main import main
sys.exit(main())
"""


def limit_processes(pid, most):
    """Sets the limit of a running process, as its own user."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    program = f"import resource\n{BECOME}resource.prlimit({pid}, resource.RLIMIT_NPROC, ({most}, {hard}))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_refused_fork_is_tried_again_with_patience(start):
    server = start("--workers", "2", "app:app", command=(sys.executable, "-c", SERVE)).ready(2)
    limit_processes(server.pid, 1)
    victim = min(server.workers())
    os.kill(victim, signal.SIGKILL)
    server.said("cannot fork a worker: Resource temporarily unavailable; next attempt in 1 s")
    server.said("next attempt in 2 s")
    assert server.get()[0] == 200
    server.signal(signal.SIGHUP)
    server.said("reload failed: no process can be forked to read the settings: Resource temporarily unavailable")
    limit_processes(server.pid, resource.getrlimit(resource.RLIMIT_NPROC)[0])
    server.said("is ready after", 3)
    assert len(server.workers()) == 2
    assert not alive(victim)
    assert server.text.count("cannot fork") <= 4
    assert server.stop() == 0

"""The hooks of a whole life: their order, process and arguments, and what happens if they raise."""

import os
import re
import signal

import pytest
from tests.support.hooks import LINES, NOTING, Told
from tests.support.raw import wait_for

CONF = "gunicorn.conf.py"
BIRTH = ["pre_fork", "post_fork", "post_worker_init"]
START = ["nworkers_changed", "on_starting", "when_ready"]


@pytest.fixture
def told(place):
    """What the hooks have noted."""
    (place / CONF).write_text(NOTING)
    return Told(place)


def number_of(name, told):
    return told.names().count(name)


def wait_until(told, name, times):
    wait_for(lambda: number_of(name, told) >= times, f"{name}, {times} times")


def breaks(place, name):
    (place / f"raise.{name}").touch()


def boom(name):
    return f"{CONF}:{LINES[name]}: {name} raised ValueError: boom"


def test_a_whole_life(start, told):
    server = start("--workers", "1", "app:app").ready(1)
    assert told.names() == [*START, *BIRTH]
    (first,) = server.workers()
    assert [pid for _, pid, _ in told()] == [server.pid] * 4 + [first] * 2
    assert told()[0][2][1:] == [1, None]
    assert told()[3][2] == [
        {"pid": server.pid, "wanted": 1, "known": []},
        {"pid": "[booting]", "ppid": server.pid, "age": 1, "nr": 0, "alive": True, "booted": False, "aborted": False},
    ]
    assert told()[4][2][1]["pid"] == first

    before = len(told())
    assert server.get("/a?b")[0] == 200
    wait_until(told, "post_request", 1)
    assert [(name, pid) for name, pid, _ in told()[before:]] == [("pre_request", first), ("post_request", first)]

    before = len(told())
    server.signal(signal.SIGTTIN)
    server.ready(2)
    assert told.names()[before:] == ["nworkers_changed", *BIRTH]
    assert told()[before][2] == [{"pid": server.pid, "wanted": 2, "known": [first]}, 2, 1]

    before = len(told())
    os.kill(first, signal.SIGKILL)
    server.ready(3)
    assert told.names()[before:] == ["child_exit", *BIRTH]
    _, pid, (seen, gone) = told()[before]
    assert (pid, gone["pid"], first in seen["known"]) == (server.pid, first, False)
    assert told()[before + 1][2][1]["age"] == 3

    before = len(told())
    old = server.workers()
    server.signal(signal.SIGHUP)
    wait_until(told, "child_exit", 3)
    names = told.names()[before:]
    assert names[:4] == ["on_reload", *BIRTH]
    assert names.count("nworkers_changed") == 1  # from 2 to what the settings say
    assert {pid for pid, _ in told.of("worker_exit")} == old
    server.said("generation 2 serves")

    before = len(told())
    (last,) = server.workers()
    assert server.stop() == 0
    assert [(name, pid) for name, pid, _ in told()[before:]] == [
        ("worker_exit", last),
        ("child_exit", server.pid),
        ("on_exit", server.pid),
    ]
    assert "worker_int" not in told.names()


@pytest.mark.parametrize("name", [*START, *BIRTH])
def test_a_hook_that_raises_at_the_start_ends_it(start, place, told, name):
    breaks(place, name)
    server = start("--workers", "1", "app:app")
    assert server.wait() == 3
    assert "Traceback (most recent call last):" in server.text
    assert boom(name) in server.text
    assert re.search(rf'{CONF}", line {LINES[name] + 1}, in {name}\b', server.text)
    assert number_of(name, told) >= 1
    if name in ("post_fork", "post_worker_init"):
        assert {pid for pid, _ in told.of("worker_exit")} == {pid for pid, _ in told.of("post_fork")}
        assert told.names()[-1] == "on_exit"


def test_a_hook_that_raises_later_stops_nobody(start, place, told):
    server = start("--workers", "1", "app:app").ready(1)
    for name in ("child_exit", "worker_exit", "nworkers_changed", "on_reload"):
        breaks(place, name)
    server.signal(signal.SIGTTIN)
    server.ready(2)
    server.said(re.escape(boom("nworkers_changed")))
    os.kill(min(server.workers()), signal.SIGTERM)
    server.ready(3)
    for name in ("child_exit", "worker_exit"):
        server.said(re.escape(boom(name)))
    server.signal(signal.SIGHUP)
    server.said(f"reload failed: {re.escape(boom('on_reload'))}; generation 1 goes on serving")
    assert server.get()[0] == 200

    breaks(place, "pre_fork")
    os.kill(min(server.workers()), signal.SIGKILL)
    server.said(f"cannot fork a worker: {re.escape(boom('pre_fork'))}; next attempt in 1 s")
    assert server.get()[0] == 200
    (place / "raise.pre_fork").unlink()
    server.ready(4)

    breaks(place, "worker_int")
    breaks(place, "on_exit")
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert server.text.count(boom("worker_int")) == 2
    assert boom("on_exit") in server.text


def test_a_reload_takes_new_hooks(start, place, told):
    server = start("--workers", "1", "app:app").ready(1)
    (place / CONF).write_text("def worker_exit(server, worker):\n    server.log.warning('new %s', worker.age)\n")
    server.signal(signal.SIGHUP)
    server.said("generation 2 serves")
    wait_until(told, "worker_exit", 1)  # of the old worker, which has the old hooks
    assert server.stop() == 0
    server.said(r"\[WARNING\] new 2")
    assert not told.of("on_exit")


BROKEN = {
    "signature": ("def when_ready(): ...\n", r"gunicorn\.conf\.py:1: when_ready: it takes \(\), and is called as"),
    "file": ("nonsense nonsense\n", "gunicorn.conf.py:1: SyntaxError"),
    # The process that prepares the reload can run it, the arbiter cannot.
    "arbiter": (
        "def when_ready(server): ...\nif 'conf' not in open('/proc/self/comm').read(): raise TypeError('not here')\n",
        "gunicorn.conf.py:2: TypeError: not here",
    ),
    "late": (
        "def when_ready(server): ...\nimport time\nif 'conf' not in open('/proc/self/comm').read(): time.sleep(600)\n",
        "gunicorn.conf.py:3: it takes longer than boot_timeout when the arbiter reads it for its hooks",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_reload_with_broken_hooks_changes_nothing(start, place, told, kind):
    text, words = BROKEN[kind]
    server = start("--workers", "1", "--boot-timeout", "3s" if kind == "late" else "60s", "app:app").ready(1)
    before = server.workers()
    (place / CONF).write_text(text)
    server.signal(signal.SIGHUP)
    server.said(f"reload failed: {words}.*; generation 1 goes on serving unchanged")
    assert server.workers() == before
    assert server.get()[0] == 200
    assert server.stop() == 0
    assert told.names()[-3:] == ["worker_exit", "child_exit", "on_exit"]


def test_a_reload_without_hooks_runs_no_settings_in_the_arbiter(start, place):
    (place / CONF).write_text("open('ran', 'a').write(open('/proc/self/comm').read())\n")
    server = start("--workers", "1", "app:app").ready(1)
    (place / "ran").unlink()
    server.signal(signal.SIGHUP)
    server.said("generation 2 serves")
    assert (place / "ran").read_text() == "pronghorn-conf\n"


def test_an_upgrade(start, place, told):
    server = start("--workers", "1", "app:app").ready(1)
    (old,) = server.workers()
    breaks(place, "pre_exec")
    server.signal(signal.SIGUSR2)
    server.said(f"upgrade failed: {re.escape(boom('pre_exec'))}; this arbiter goes on serving unchanged")
    (place / "raise.pre_exec").unlink()
    server.signal(signal.SIGUSR2)
    assert server.wait() == 0
    (new,) = server.arbiters()
    assert [pid for pid, _ in told.of("pre_exec")][1:] == [new]
    assert [seen["pid"] for _, (seen,) in told.of("pre_exec")] == [server.pid] * 2
    for name in START:
        assert [pid for pid, _ in told.of(name)] == [server.pid, new]
    assert [pid for pid, _ in told.of("worker_exit")] == [old]
    assert [pid for pid, _ in told.of("on_exit")] == [server.pid]
    assert server.get()[0] == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_worker_that_is_interrupted(start, told, number):
    server = start("--workers", "1", "app:app").ready(1)
    (first,) = server.workers()
    os.kill(first, number)
    server.ready(2)
    ends = [(name, pid) for name, pid, _ in told()[6:9]]
    assert ends == [("worker_int", first), ("worker_exit", first), ("child_exit", server.pid)]
    assert told.of("worker_int")[0][1][0]["alive"] is False


@pytest.mark.parametrize("environ", [{}, {"PYTHONFAULTHANDLER": "1"}])
def test_a_worker_that_is_aborted(start, told, environ):
    server = start("--workers", "1", "app:app", **environ).ready(1)
    (first,) = server.workers()
    os.kill(first, signal.SIGABRT)
    server.ready(2)
    assert [name for name, pid, _ in told() if pid == first][2:] == ["worker_abort", "worker_exit"]
    assert told.of("worker_abort")[0][1][0]["aborted"] is True
    server.said("Fatal Python error: Aborted")
    server.said(r"worker 1 \(pid \d+\) was killed by SIGABRT")
    assert server.text.count("Fatal Python error") == 1


def test_a_worker_that_is_too_late_is_aborted(start, place, told):
    (place / "app.py").write_text("import time\ntime.sleep(600)\n")
    start("--workers", "1", "--boot-timeout", "2s", "app:app")
    wait_until(told, "child_exit", 1)
    assert told.names()[3:7] == ["pre_fork", "post_fork", "worker_abort", "worker_exit"]


HANGING = """
import time
def child_exit(server, worker): time.sleep(600)
def on_reload(server):
    while True:
        try:
            time.sleep(600)
        except KeyError:
            pass
def on_exit(server): time.sleep(600)
"""


def test_a_hook_that_hangs_holds_the_arbiter_up_for_so_long_only(start, place):
    (place / CONF).write_text(HANGING)
    server = start("--workers", "1", "--boot-timeout", "1s", "app:app").ready(1)
    late = r"raised TimeoutError: it takes longer than 1 s \(boot_timeout\)"
    server.signal(signal.SIGHUP)
    server.said(f"reload failed: {CONF}:4: on_reload {late}; generation 1 goes on serving unchanged")
    assert server.get()[0] == 200
    os.kill(min(server.workers()), signal.SIGKILL)
    server.said(rf'File ".*{CONF}", line 3, in child_exit\n(.*\n)*.*TimeoutError: it takes longer')
    server.ready(2)
    assert server.get()[0] == 200
    assert server.stop() == 0
    server.said(f"{CONF}:3: child_exit {late}", 2)
    server.said(f"{CONF}:10: on_exit {late}")


def test_a_stop_waits_for_a_hook_that_hangs_once_and_not_for_each_worker(start, place):
    (place / CONF).write_text(HANGING)
    server = start("--workers", "3", "--boot-timeout", "1s", "app:app").ready(3)
    assert server.stop() == 0
    server.said(f"{CONF}:3: child_exit raised TimeoutError: it takes longer than 1 s")
    server.said(r"child_exit is not called: its calls have taken 1 s \(boot_timeout\) already", 2)
    server.said(f"{CONF}:10: on_exit raised TimeoutError: it takes longer than 1 s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["on_starting", "when_ready"])
def test_a_stop_during_a_hook_of_the_start(start, place, name, number):
    (place / CONF).write_text(
        f"import time\ndef {name}(server):\n    open('inside', 'w').close()\n    time.sleep(600)\n"
    )
    server = start("--pid", "run.pid", "app:app", bind=(f"unix:{place}/a.sock",))
    wait_for((place / "inside").exists, "the hook")
    server.signal(number)
    assert server.wait() == 0
    server.said("stopped while ")
    assert not (place / "run.pid").exists()
    assert not (place / "a.sock").exists()
    assert "Traceback" not in server.text

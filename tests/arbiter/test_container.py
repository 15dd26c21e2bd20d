"""The arbiter as process 1, in a namespace of its own."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.process import MODULE
from tests.support.raw import wait_for

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

ORPHANS = """
    if path == "/orphan":
        if os.fork() == 0:
            for _ in range(5):
                if os.fork() == 0:
                    os.execvp("sleep", ["sleep", "0.1"])
            os._exit(0)
        os.wait()
"""


def permitted():
    return (
        shutil.which("unshare") and subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0
    )


pytestmark = pytest.mark.skipif(not permitted(), reason="no process namespaces here (unshare needs root)")


@pytest.fixture
def contained(start, place):
    """The command as process 1, and its pid as it is seen from here."""
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source.replace('    if path == "/crash"', ORPHANS + '    if path == "/crash"'))
    command = start("--workers", "2", "app:app", command=(*UNSHARE, *MODULE)).ready(2)
    pid = int(Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()[0])
    yield command, pid
    if command.process.poll() is None:
        os.kill(pid, signal.SIGTERM)


def sleepers(command):
    """The states of the orphans: everything of the namespace that is no server any more."""
    states = []
    for entry in Path("/proc").iterdir():
        try:
            name, rest = (entry / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        if entry.name.isdigit() and name.endswith("(sleep") and int(rest.split()[3]) == command.pid:
            states.append(rest.split()[0])
    return states


def test_it_serves_reaps_orphans_and_stops(contained):
    command, pid = contained
    assert command.said("arbiter pid 1")
    assert command.get("/orphan")[0] == 200
    wait_for(lambda: sleepers(command) == [], "the orphans to be reaped")
    assert "replaced" not in command.text
    os.kill(pid, signal.SIGTERM)
    assert command.wait() == 0


def test_usr2_is_refused_with_the_reason(contained):
    command, pid = contained
    os.kill(pid, signal.SIGUSR2)
    command.said("USR2 is ignored: this arbiter is process 1 of a container, which ends with it; start a new container")
    assert command.get()[0] == 200


def test_winch_and_hup(contained):
    command, pid = contained
    os.kill(pid, signal.SIGWINCH)
    command.said("has left", 2)
    os.kill(pid, signal.SIGHUP)
    command.said("is ready after", 4)
    assert command.get()[0] == 200


def test_what_it_does_not_know_is_neither_forwarded_nor_an_end(contained):
    command, pid = contained
    before = command.text
    for number in (signal.SIGALRM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGVTALRM, signal.SIGCONT):
        os.kill(pid, number)
    assert command.get()[0] == 200
    assert command.text == before

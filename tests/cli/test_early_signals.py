"""A stop at any moment of the start, also before the server handles signals itself, ends the process."""

import random
import signal
import time
from pathlib import Path

import pytest
from tests.support.process import MODULE, SCRIPT, Server
from tests.support.raw import wait_for

SEED = 20_261_121

SWALLOWS = """\
import os, signal

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

Swallows()
raise SystemExit("it goes on")
"""


@pytest.mark.parametrize("command", [SCRIPT, MODULE])
def test_an_interrupt_is_not_lost_where_exceptions_are(tmp_path, command):
    """An exception in a destructor, or in a callback that the import system has, is printed and forgotten."""
    (tmp_path / "click.py").write_text(SWALLOWS)
    with Server(tmp_path, "app:app", command=command, PYTHONPATH=str(tmp_path)) as server:
        assert server.wait() == -signal.SIGINT
        assert server.text == ""


def _caught(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0] or "0", 16) & 1 << (number - 1))


def _python_itself_starts(pid: int) -> bool:
    """INT has Python's own handler: until the first line of ours."""
    return _caught(pid, signal.SIGINT) and not _caught(pid, signal.SIGHUP)


def test_a_stop_at_any_moment_of_the_start_ends_it(tmp_path):
    (tmp_path / "app.py").write_text("def app(environ, start_response): ...\n")
    chance = random.Random(SEED)
    for _ in range(20):
        number, delay = chance.choice([signal.SIGINT, signal.SIGTERM]), chance.uniform(0, 0.6)
        arguments = ["--workers", "1", "--pid", "run.pid", "app:app"]
        with Server(tmp_path, *arguments, command=SCRIPT, bind=(f"unix:{tmp_path}/a.sock",)) as server:
            # The moment is what is random here, not a wait for something.
            time.sleep(delay)
            if number == signal.SIGINT:
                wait_for(lambda: not _python_itself_starts(server.pid), "Python")
            server.signal(number)
            what = f"seed {SEED}: {number.name} after {delay:.3f} s:\n"
            assert server.wait() in (0, -number), what + server.text
            wait_for(lambda: not server.processes(), f"{what}every process to be gone")
            assert "Traceback" not in server.text, what + server.text
        assert [path.name for path in tmp_path.iterdir() if path.suffix in (".pid", ".sock")] == [], what

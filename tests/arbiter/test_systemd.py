"""What systemd passes and what it is told; the tests stand where it would."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.process import PATIENCE, SCRIPT
from tests.support.raw import Client, wait_for

from pronghorn.arbiter.fleet import Candidate, Fleet, Phase, Policy, Stage, Successor, Worker
from pronghorn.arbiter.notify import Said, Service, lines_between, shows_life, state_of
from pronghorn.options.inherited import addressed_to, passed_sockets, resolve

POLICY = Policy(size=2, graceful_timeout=30.0, boot_timeout=60.0, timeout=0.0)
READY = Worker(0, 1, Stage.READY, born=0.0, pid=101, ready_at=1.0)
SERVING = Fleet(POLICY, 2, 16, proven=True, workers=(READY,))


class Listener:
    """The socket of a service manager: remembers every line in order."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.lines = []

    def said(self, pattern, start=0):
        """Waits for a line, at the earliest the one of index `start`; its index."""
        return wait_for(lambda: self._find(pattern, start), f"{pattern} in {self.lines}", PATIENCE) - 1

    def _find(self, pattern, start):
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            pass
        for index, line in enumerate(self.lines):
            if index >= start and re.fullmatch(pattern, line):
                return index + 1
        return 0


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A service manager, and the NOTIFY_SOCKET that names it."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@pronghorn-test-{os.getpid()}"
    listener = Listener(address)
    with listener.socket:
        yield listener, address


def activated(sockets, names=""):
    """A command that is started as systemd starts a service with sockets."""
    fds = ",".join(str(sock.fileno()) for sock in sockets)
    code = (
        "import os, sys\n"
        f"fds = [{fds}]\n"
        "kept = [os.dup(fd) for fd in fds]\n"
        "kept = [os.dup2(fd, 50 + n) for n, fd in enumerate(kept)]\n"
        "for n, fd in enumerate(kept): os.dup2(fd, 3 + n)\n"
        f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES={names!r})\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'pronghorn', *sys.argv[1:]])\n"
    )
    return (sys.executable, "-c", code)


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    sock = socket.socket(family)
    sock.bind(address)
    sock.listen(16)
    os.set_inheritable(sock.fileno(), True)
    return sock


def url(sock):
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


def status_of(address):
    with Client(address) as client:
        return client.get().status


@pytest.fixture
def pass_sockets(start):
    """Starts the command with sockets passed to it."""

    def run(sockets, *arguments, names="", bind=()):
        numbers = [sock.fileno() for sock in sockets]
        command = activated(sockets, names)
        return start(*arguments, "--workers", "1", command=command, bind=bind, pass_fds=numbers)

    return run


def test_the_sockets_that_are_passed_are_served(pass_sockets, tmp_path):
    with listening() as one, listening(socket.AF_UNIX, str(tmp_path / "a.sock")) as two:
        command = pass_sockets([one, two], "app:app").ready(1)
        assert status_of(url(one)) == 200
        assert status_of(f"unix:{tmp_path}/a.sock") == 200
        command.signal(signal.SIGUSR2)
        command.said("the old arbiter .* has left")
        assert status_of(url(one)) == 200
        assert status_of(f"unix:{tmp_path}/a.sock") == 200
    assert (tmp_path / "a.sock").exists()


def test_a_bind_beside_sockets_that_are_passed(pass_sockets):
    """They are served in its place, as Gunicorn does it: nobody who connected to them waits for ever."""
    with listening() as passed:
        command = pass_sockets([passed], "app:app", bind=["127.0.0.1:0"]).ready(1)
        assert re.findall(r"listening on (\S+)", command.text) == [url(passed)]
        assert "--bind: bind 127.0.0.1:0 is not used: the sockets that systemd passed are" in command.text
        assert status_of(url(passed)) == 200


def test_a_bind_that_names_sockets_that_are_passed(pass_sockets):
    with listening() as passed:
        command = pass_sockets([passed], "app:app", bind=["127.0.0.1:0", "fd://3"]).ready(1)
        addresses = re.findall(r"listening on (\S+)", command.text)
        assert len(addresses) == 2
        assert all(status_of(address) == 200 for address in addresses)


def test_sockets_by_name(pass_sockets, tmp_path):
    with listening() as one, listening() as two, listening() as three:
        command = pass_sockets([one, two, three], "app:app", names="web:other:web", bind=["fd://web"]).ready(1)
        assert status_of(url(one)) == status_of(url(three)) == 200
        assert re.findall(r"listening on (\S+)", command.text) == [url(one), url(three)]
        command.signal(signal.SIGHUP)
        command.said("generation 2 serves")
        assert status_of(url(one)) == 200


def test_a_name_that_was_not_passed(pass_sockets):
    with listening() as one:
        command = pass_sockets([one], "app:app", names="web", bind=["fd://wep"])
        assert command.wait() == 2
        assert "--bind: no socket named 'wep' was passed to this process (LISTEN_FDNAMES has: web)" in command.text


def test_the_application_does_not_see_the_variables(pass_sockets, place):
    source = (place / "app.py").read_text()
    (place / "app.py").write_text(source.replace("VERSION}", "VERSION} {[n for n in os.environ if 'LISTEN' in n]}"))
    with listening() as one:
        pass_sockets([one], "--preload", "app:app").ready(1)
        with Client(url(one)) as client:
            assert client.get().body.endswith(b"one []")


def test_sockets_of_another_process_are_not_ours():
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert addressed_to(2, environ) == {"HOME": "/"}
    assert addressed_to(1, environ) == environ
    assert passed_sockets(environ) == {3: "a", 4: "b"}
    assert passed_sockets(environ | {"LISTEN_FDNAMES": ""}) == {3: "", 4: ""}
    assert passed_sockets(environ | {"LISTEN_FDS": "x"}) == {}
    assert resolve(["fd://b", "[::1]:1", "fd://7"], environ) == ("fd://4", "[::1]:1", "fd://7")


def test_the_life_of_a_service(start, manager):
    listener, address = manager
    command = start("--workers", "2", "app:app", NOTIFY_SOCKET=address)
    ready = listener.said("READY=1")
    assert listener.lines.index("STATUS=starting: 0 of 2 workers ready") < ready
    both = listener.said("STATUS=generation 1: 2 of 2 workers ready")
    command.signal(signal.SIGHUP)
    reloading = listener.said("RELOADING=1", both)
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", listener.lines[reloading + 1])
    listener.said("READY=1", reloading)
    listener.said("STATUS=generation 2: 2 of 2 workers ready", reloading)
    assert command.stop() == 0
    listener.said("STOPPING=1", reloading)
    assert listener.lines.count("STOPPING=1") == 1
    assert listener.lines.count("READY=1") == 2


def test_a_reload_that_fails_ends_as_well(start, manager, place):
    listener, address = manager
    (place / "pronghorn.toml").write_text("workers = 1\n")
    command = start("app:app", NOTIFY_SOCKET=address).ready(1)
    (place / "pronghorn.toml").write_text("wrokers = 1\n")
    command.signal(signal.SIGHUP)
    ready = listener.said("READY=1", listener.said("RELOADING=1"))
    failed = listener.said(r"STATUS=generation 1: 1 of 1 workers ready; reload failed: .*wrokers.*", ready)
    (place / "pronghorn.toml").write_text("workers = 1\n")
    command.signal(signal.SIGHUP)
    listener.said("STATUS=generation 3: 1 of 1 workers ready", failed)


def test_an_upgrade_that_fails_is_in_the_status(start, manager, place):
    listener, address = manager
    command = start("--workers", "1", "app:app", NOTIFY_SOCKET=address).ready(1)
    (place / "app.py").write_text("raise ValueError('broken')\n")
    command.signal(signal.SIGUSR2)
    listener.said("STATUS=generation 1: 1 of 1 workers ready; upgrade failed: .*ValueError: broken")


def test_an_upgrade_changes_the_main_process(start, manager):
    listener, address = manager
    command = start("--workers", "1", "app:app", NOTIFY_SOCKET=address).ready(1)
    command.signal(signal.SIGUSR2)
    main = listener.said(r"MAINPID=\d+")
    new = int(listener.lines[main].removeprefix("MAINPID="))
    assert new != command.pid
    listener.said("READY=1", main)
    command.said("the old arbiter .* has left")
    assert "STOPPING=1" not in listener.lines
    os.kill(new, signal.SIGTERM)
    listener.said("STOPPING=1", main)


def test_a_rollback_changes_it_back(start, manager):
    listener, address = manager
    command = start("--workers", "1", "app:app", NOTIFY_SOCKET=address).ready(1)
    command.signal(signal.SIGUSR2)
    command.signal(signal.SIGWINCH)
    main = listener.said(r"MAINPID=\d+")
    command.signal(signal.SIGHUP)
    listener.said(f"MAINPID={command.pid}", main)


def test_the_watchdog(start, manager):
    listener, address = manager
    command = start("--workers", "1", "app:app", NOTIFY_SOCKET=address, WATCHDOG_USEC="400000").ready(1)
    first = listener.said("WATCHDOG=1")
    listener.said("WATCHDOG=1", first + 1)
    (worker,) = command.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_for(lambda: _quiet(listener), "no more signs of life", PATIENCE)
    finally:
        os.kill(worker, signal.SIGCONT)
    listener.said("WATCHDOG=1", len(listener.lines))


DEPLOYING = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text()
SERVICE, SOCKETS = re.findall(r"```ini\n(\[Unit\]\n.*?)```", DEPLOYING, re.DOTALL)
EXEC_START = "/srv/shop/venv/bin/pronghorn --bind 127.0.0.1:8000 app:app"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (package systemd)")
def test_the_units_of_the_document_are_right(tmp_path):
    service = SERVICE.replace("/srv/shop/venv/bin/pronghorn", SCRIPT[0]).replace("/srv/shop", str(tmp_path))
    (tmp_path / "shop.service").write_text(service)
    (tmp_path / "shop.socket").write_text(SOCKETS)
    units = [str(tmp_path / name) for name in ("shop.service", "shop.socket")]
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60
    )
    # It loads units of this machine as well; only ours are of interest.
    assert [line for line in found.stderr.splitlines() if "shop" in line] == []
    assert found.returncode == 0, found.stderr


def test_the_command_of_the_document_starts_as_the_unit_says(start, manager):
    listener, address = manager
    assert f"ExecStart={EXEC_START}\n" in SERVICE
    words = EXEC_START.replace("127.0.0.1:8000", "127.0.0.1:0").split()[1:]
    (kind,) = re.findall(r"ExecReload=/bin/kill -(\w+) \$MAINPID", SERVICE)
    command = start(*words, command=SCRIPT, bind=(), NOTIFY_SOCKET=address, WATCHDOG_USEC="30000000")
    ready = listener.said("READY=1")
    command.signal(signal.Signals[f"SIG{kind}"])
    listener.said("READY=1", listener.said("RELOADING=1", ready))
    assert command.stop() == 0
    listener.said("STOPPING=1")


def _quiet(listener):
    """Whether there was no sign of life for more than the time of the watchdog."""
    before = len(listener.lines)
    listener.socket.settimeout(1.0)
    try:
        listener.lines += listener.socket.recv(4096).decode().split("\n")
    except TimeoutError:
        return len(listener.lines) == before
    finally:
        listener.socket.setblocking(False)
    return False


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens-here", "garbage", "/" + "x" * 200])
def test_nobody_who_listens_does_no_harm(start, address):
    command = start("--workers", "1", "app:app", NOTIFY_SOCKET=address).ready(1)
    command.signal(signal.SIGHUP)
    command.said("generation 2 serves")
    assert command.stop() == 0
    assert command.text.count("systemd is not told how the server is: NOTIFY_SOCKET") == 1


def test_what_is_said_of_a_fleet():
    assert state_of(replace(SERVING, proven=False)).service is Service.STARTING
    assert state_of(SERVING) == Said(Service.SERVING, 0, "generation 1: 1 of 2 workers ready")
    reloading = replace(SERVING, newest=2, candidate=Candidate(2, POLICY))
    assert state_of(reloading).service is Service.RELOADING
    handed = replace(SERVING, paused=True, successor=Successor(pid=7, ready=True))
    assert state_of(handed).main == 7
    assert state_of(replace(handed, paused=False)).main == 0
    assert state_of(replace(SERVING, phase=Phase.STOPPING)).service is Service.STOPPING
    # What an application raises may have lines; of a message to systemd each would be an assignment.
    failed = state_of(replace(SERVING, failure="reload failed: one\nMAINPID=1 " + 1000 * "x ")).status
    assert failed.startswith("generation 1: 1 of 2 workers ready; reload failed: one MAINPID=1 x")
    assert len(failed) < 400


def test_only_what_changed_is_said():
    said = state_of(SERVING)
    assert lines_between(said, said, 1.0) == []
    assert lines_between(said, replace(said, main=7), 1.0) == ["MAINPID=7", "WATCHDOG=1"]
    assert lines_between(said, replace(said, service=Service.RELOADING), 1.5) == [
        "RELOADING=1",
        "MONOTONIC_USEC=1500000",
    ]


def test_life():
    assert shows_life(SERVING, {101: 10.0}, oldest=9.0)
    assert not shows_life(SERVING, {101: 8.0}, oldest=9.0)
    assert not shows_life(replace(SERVING, workers=()), {}, oldest=9.0)
    assert shows_life(replace(SERVING, workers=(replace(READY, stage=Stage.BOOTING),)), {}, oldest=9.0)
    assert shows_life(replace(SERVING, workers=(), paused=True), {}, oldest=9.0)

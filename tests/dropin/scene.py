"""One configuration on one server: it is started, asked, signalled and ended, and all that can be seen is kept."""

import contextlib
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pronghorn.options.cpus import allowed_cpus
from tests.dropin.cases import Case
from tests.dropin.script import AGAIN, COMMON, Observed, play
from tests.faults.servers import parent_of
from tests.support.process import MODULE, Server
from tests.support.raw import Client, wait_for

HERE = Path(__file__).parent

ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does for a socket unit."""

SAID = re.compile(
    r"(hook .*|.*\b(?:(?:GET|HEAD|POST|PUT) |get /).*|.*\" \d{3} .*|.*(?:the shop|\"workers\"|quiet logger).*)"
)
"""What is compared of an output: what the configuration or the application has it say, not the server's own words."""

TIME = re.compile(r"\[\d\d/\w{3}/\d{4}:[\d:]+ [+-]\d{4}\]")


@dataclass(frozen=True)
class Kind:
    """A server: how it is started, and how many workers it has when nothing is said."""

    command: Sequence[str]
    workers: int


PRONGHORN = Kind(MODULE, allowed_cpus())
GUNICORN = Kind((str(HERE.parents[1] / "build" / "gunicorn" / "bin" / "gunicorn"),), 1)
"""Made by `make dropin`; the tests need what it showed there, not it."""


class Scene:
    """One case on one server, in a folder of its own."""

    def __init__(self, case: Case, kind: Kind, folder: Path) -> None:
        self.case = case
        self.command = kind.command
        self.folder = folder
        self.workers = case.workers or kind.workers
        self.url = ""
        self.seen: Observed = {}

    def play(self) -> Observed:
        """Everything, from the start to the last signal. Raises AssertionError when the server does not come up."""
        case = self.case
        shutil.copytree(HERE / "application", self.folder, dirs_exist_ok=True)
        shutil.copy(HERE / "configs" / f"{case.config}.py", self.folder / "my.conf.py")
        (self.folder / "elsewhere").mkdir()
        before = {path.name for path in self.folder.iterdir()}
        with datagrams() as (statsd, syslog), self.started(statsd, syslog) as server:
            self.up(server)
            names = (*(COMMON if case.only is None else case.only), *case.asks)
            self.seen["asked"] = play(self.url, names, case.proxy)
            if case.socket:
                self.seen["mode of the socket"] = oct((self.folder / case.socket).stat().st_mode & 0o777)
            self.seen["signals"] = self.signals(server)
            self.seen["exit status"] = server.wait()
            wait_for(lambda: not server.processes(), "every process to be gone")
            self.outputs(server)
            for name, peer in (("statsd", statsd), ("syslog", syslog)):
                if heard := list(received(peer)):
                    self.seen[name] = sorted(set(heard))
        left = {path.name for path in self.folder.iterdir()} - before - {"__pycache__"}
        self.seen["files left"] = sorted(name for name in left if not name.startswith("server-"))
        return self.seen

    @contextlib.contextmanager
    def started(self, statsd: socket.socket, syslog: socket.socket) -> Iterator[Server]:
        """The server, with a socket that is open already if the case wants that."""
        case = self.case
        arguments = ["-c", "my.conf.py", *case.arguments, *case.application]
        more = {
            "SHOP_STATSD": f"127.0.0.1:{statsd.getsockname()[1]}",
            "SHOP_SYSLOG": f"udp://127.0.0.1:{syslog.getsockname()[1]}",
        } | dict(case.environment)
        says = (HERE / "configs" / f"{case.config}.py").read_text()
        bare = "bind =" not in says and not case.activated
        with contextlib.ExitStack() as stack:
            command, passed = [*self.command], []
            if case.activated:
                listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *command]
                passed.append(listener.fileno())
            bind = ("127.0.0.1:0",) if bare else ()
            yield stack.enter_context(
                Server(self.folder, *arguments, command=command, pass_fds=passed, bind=bind, **more)
            )

    def up(self, server: Server) -> None:
        """Waits until it answers, with all its workers."""
        path = self.folder / self.case.socket
        if self.case.socket:
            self.url = f"unix:{path}"
            wait_for(lambda: server.process.poll() is not None or path.is_socket(), f"a socket\n{server.text}")
        else:
            self.url = wait_for(lambda: address(server), f"an address\n{server.text}")

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return self.ask_once() != ""
            return False

        wait_for(lambda: server.process.poll() is not None or answers(), f"an answer\n{server.text}")
        assert server.process.poll() is None, f"it has ended: {server.text}"
        wait_for(lambda: len(crew(server)) == self.workers, f"{self.workers} workers, not {len(crew(server))}")
        self.seen["workers"] = self.workers

    def ask_once(self) -> str:
        """The body of one answer."""
        with Client(self.url) as client:
            client.send(self.case.proxy)
            return client.get(AGAIN).body.decode("utf-8", "backslashreplace")

    def signals(self, server: Server) -> list[Observed]:
        """What each signal does; the last ends the server."""
        seen: list[Observed] = []
        for number in self.case.signals:
            before = crew(server)
            if number == signal.SIGHUP:
                code = (self.folder / "shop.py").read_text()
                (self.folder / "shop.py").write_text(code.replace("code 1", "code 2"))
            server.signal(number)
            if number == signal.SIGHUP:
                wait_for(lambda old=before: renewed(server, old, self.workers), f"new workers\n{server.text}")
            elif number in {signal.SIGTTIN, signal.SIGTTOU}:
                self.workers += 1 if number == signal.SIGTTIN else -1
                wait_for(lambda: len(crew(server)) == self.workers, f"{self.workers} workers\n{server.text}")
            elif number != signal.SIGUSR1:
                seen.append({"signal": number.name, "ends it": server.wait() is not None})
                break
            seen.append({"signal": number.name, "workers": len(crew(server)), "serves": self.ask_once()})
        return seen

    def outputs(self, server: Server) -> None:
        """What was written, as far as it is compared."""
        errors, output = server.text, server.output.read_text()
        self.seen["standard output"] = said(output)
        self.seen["hooks"] = sorted(line for line in said(errors) if line.startswith("hook "))
        files = {name: (self.folder / name).read_text() for name in self.case.logs}
        for name, text in files.items():
            self.seen[name] = said(text) if name.endswith(".log") else sorted(set(text.split()))
        everything = "\n".join((errors, output, *files.values()))
        self.seen["tells of the error"] = "the shop has burnt down" in everything


@contextlib.contextmanager
def datagrams() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where statistics and syslog are sent to."""
    with socket.socket(type=socket.SOCK_DGRAM) as statsd, socket.socket(type=socket.SOCK_DGRAM) as syslog:
        for peer in (statsd, syslog):
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(0)
        yield statsd, syslog


def said(text: str) -> list[str]:
    """The lines that are compared, without what is different each time."""
    found = [match.group(1) for line in text.splitlines() if (match := SAID.search(line))]
    lines = [TIME.sub("[time]", line) for line in found]
    return [line for line in lines if not any(word in line for word in (AGAIN, "Traceback", "burnt down"))]


def received(peer: socket.socket) -> Iterator[str]:
    """The datagrams that have arrived, without times."""
    with contextlib.suppress(BlockingIOError):
        while True:
            for line in peer.recv(1 << 16).decode().splitlines():
                if match := re.match(r"([\w.]+):[-\d.]+(\|.*)", line):
                    yield f"{match.group(1)}:N{match.group(2)}"
                elif said(line):
                    yield re.sub(r"\[\d+\]", "[pid]", line)


def address(server: Server) -> str:
    """The URL of the TCP address that the arbiter listens on; empty while there is none."""
    inodes = set()
    for entry in Path(f"/proc/{server.pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            return f"http://127.0.0.1:{int(fields[1].rpartition(':')[2], 16)}"
    return ""


def crew(server: Server) -> set[int]:
    """The workers: the arbiter's children, without the one that prepares a reload."""
    return {pid for pid in server.workers() if parent_of(pid) == server.pid}


def renewed(server: Server, old: set[int], workers: int) -> bool:
    """Whether none of the old workers is left, and as many new ones are there."""
    found = crew(server)
    return len(found) == workers and not found & old

"""Real proxies in front of a server: on a free port, in a folder, with nothing of the system's configuration."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.raw import Client, wait_for

PATIENCE = 20.0
"""Seconds a proxy has to start or to stop."""

WHERE = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
"""Debian keeps servers where only root looks."""

MODULES = "/usr/lib/apache2/modules"

LAST = "/the-last-line-of-the-log"
"""Asked for at the end, where the log is in memory until another program writes it."""


@dataclass(frozen=True)
class Ground:
    """Where a proxy lives: its folder, the port it listens on, the port of the server behind it."""

    folder: Path
    port: int
    upstream: int

    @property
    def configuration(self) -> Path:
        """The file that the proxy is started with."""
        return self.folder / "configuration"

    @property
    def log(self) -> Path:
        """A line `upstream|status|request line` for each request; `upstream` tells whether it was passed on."""
        return self.folder / "requests.log"


@dataclass(frozen=True)
class Kind:
    """A proxy program: how it is configured and started, how it says its version, what its log calls not passed on."""

    name: str
    configuration: Callable[[Ground], str]
    command: Callable[[Ground], list[str]]
    ask_version: tuple[str, ...]
    kept: frozenset[str]
    logger: Callable[[Ground], list[str]] | None = None

    @property
    def program(self) -> str | None:
        """The path of its program; None where it is not installed."""
        return shutil.which(self.command(Ground(Path(), 0, 0))[0], path=WHERE)

    @property
    def version(self) -> str:
        """What the program says of itself, in one line."""
        asked = subprocess.run([str(self.program), *self.ask_version], capture_output=True, text=True, check=True)
        return (asked.stdout + asked.stderr).splitlines()[0]


def nginx(ground: Ground) -> str:
    """Connections to the server are kept, and bodies go on as they come, with their own framing."""
    folder = ground.folder
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""\
daemon off;
user {"root" if os.geteuid() == 0 else "nobody"};
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
{paths}
    log_format seen '$upstream_addr|$status|$request';
    access_log {ground.log} seen;
    client_header_timeout 3s;
    client_body_timeout 3s;
    upstream pronghorn {{ server 127.0.0.1:{ground.upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{ground.port};
        location / {{
            proxy_pass http://pronghorn;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_next_upstream off;
        }}
    }}
}}
"""


def haproxy(ground: Ground) -> str:
    """One worker that shares kept connections between clients wherever it may."""
    return f"""\
global
    maxconn 256
    log stdout format raw local0
defaults
    mode http
    log global
    log-format "%s|%ST|%r"
    timeout connect 5s
    timeout client 3s
    timeout server 5s
    retries 0
    http-reuse always
frontend front
    bind 127.0.0.1:{ground.port}
    default_backend back
backend back
    server pronghorn 127.0.0.1:{ground.upstream}
"""


def apache(ground: Ground) -> str:
    """As a reverse proxy that leaves paths alone."""
    loaded = ("mpm_event", "authz_core", "proxy", "proxy_http")
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in loaded)
    return f"""\
{modules}
ServerRoot {ground.folder}
DefaultRuntimeDir {ground.folder}
PidFile {ground.folder}/pid
ErrorLog {ground.folder}/error.log
ServerName test
User nobody
Group nogroup
Listen 127.0.0.1:{ground.port}
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
Timeout 3
KeepAliveTimeout 3
LogFormat "%R|%>s|%r" seen
CustomLog {ground.log} seen
AllowEncodedSlashes NoDecode
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:{ground.upstream}/ nocanon retry=0
"""


def varnish(ground: Ground) -> str:
    """It passes everything on and keeps nothing."""
    return f"""\
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{ground.upstream}"; }}
sub vcl_recv {{ if (req.url == "{LAST}") {{ return (synth(204)); }} return (pass); }}
"""


NGINX = Kind("nginx", nginx, lambda at: ["nginx", "-p", str(at.folder), "-c", str(at.configuration), "-e",
             str(at.folder / "error.log")], ("-v",), frozenset({"-"}))  # fmt: skip
HAPROXY = Kind("haproxy", haproxy, lambda at: ["haproxy", "-db", "-f", str(at.configuration)], ("-v",),
               frozenset({"<NOSRV>"}))  # fmt: skip
APACHE = Kind("apache2", apache, lambda at: ["apache2", "-DFOREGROUND", "-f", str(at.configuration)], ("-v",),
              frozenset({"-"}))  # fmt: skip
VARNISH = Kind(
    "varnish",
    varnish,
    lambda at: ["varnishd", "-F", "-j", "none", "-n", str(at.folder / "work"), "-f", str(at.configuration), "-a",
                f"127.0.0.1:{at.port}", "-s", "malloc,8m", "-p", "timeout_idle=3"],
    ("-V",),
    frozenset({"-", "synth"}),
    lambda at: ["varnishncsa", "-n", str(at.folder / "work"), "-d", "-w", str(at.log), "-F",
                "%{Varnish:handling}x|%s|%m %U%q"],
)  # fmt: skip
KINDS = {kind.name: kind for kind in (NGINX, HAPROXY, APACHE, VARNISH)}


@dataclass(frozen=True)
class Passed:
    """A request as a proxy's log has it: the request line, the status, and whether it was passed on."""

    request: str
    status: int
    passed_on: bool


class Proxy:
    """A proxy in front of the server on a port of this machine, while the block runs."""

    def __init__(self, kind: Kind, folder: Path, upstream: int) -> None:
        self.kind = kind
        self.ground = Ground(folder, free_port(), upstream)
        folder.chmod(0o755)
        self.ground.configuration.write_text(kind.configuration(self.ground))

    def __enter__(self) -> Self:
        output = self.ground.log if self.kind is HAPROXY else self.ground.folder / "output.log"
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                _found(self.kind.command(self.ground)), cwd=self.ground.folder, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, f"{self.kind.name} to listen\n{self.said}", PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.kind.logger and not error:
            self._write_log(self.kind.logger(self.ground))
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.ground.port}"

    @property
    def said(self) -> str:
        """What it has written but the requests."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.ground.folder.glob("*.log"))
                         if path != self.ground.log)[-4000:]  # fmt: skip

    def requests(self) -> list[Passed]:
        """Every request it has logged; whole once it has stopped."""
        lines = self.ground.log.read_text(encoding="latin-1").splitlines()
        parts = [line.split("|", 2) for line in lines if line.count("|") >= 2 and LAST not in line]
        return [
            Passed(request, int(status) if status.isdigit() else 0, upstream not in self.kind.kept)
            for upstream, status, request in parts
        ]

    def _write_log(self, command: list[str]) -> None:
        """Has the log written that is in memory until now; a last request shows that it is whole."""
        with Client(self.url) as client:
            client.get(LAST)
        subprocess.run(_found(command), check=True, capture_output=True, timeout=PATIENCE)
        assert LAST in self.ground.log.read_text(encoding="latin-1")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.kind.name} ended: {self.said}"
        try:
            socket.create_connection(("127.0.0.1", self.ground.port), timeout=1).close()
        except OSError:
            return False
        return True


def _found(command: list[str]) -> list[str]:
    return [str(shutil.which(command[0], path=WHERE)), *command[1:]]


def free_port() -> int:
    """A port that the kernel has just chosen; these programs cannot ask for one and say which it was."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port

"""The proxies that requests are sent through, and what each logs: whether it passed a request on, and how it ended."""

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.measure import free_port

from tests.support.process import PATIENCE, environment
from tests.support.proxies import Proxy, find
from tests.support.raw import Client, wait_for

MODULES = "/usr/lib/apache2/modules"

LAST = "/the-last-line-of-the-log"
"""Asked for at the end, where the log is in memory until another program writes it."""


@dataclass(frozen=True)
class Ground:
    """Where a proxy lives: its folder, the port it listens on, its socket's descriptor, the port of the server."""

    folder: Path
    port: str
    fd: int
    upstream: int


@dataclass(frozen=True)
class Kind:
    """A proxy program.

    Arguments:
        program: what it is called in Debian.
        configuration: the text of the file `configuration` in its folder.
        words: the command line behind the program.
        kept: what its log says in place of the upstream where a request was not passed on.
        log: the file in its folder with a line `upstream|status|request line` for each request.
        more: variables that hand it its socket; None: it takes none, and is told a port.
        logger: a command that writes the log.
    """

    name: str
    program: str
    configuration: Callable[[Ground], str]
    words: Sequence[str]
    kept: frozenset[str]
    ask_version: str
    log: str = "requests.log"
    more: Callable[[int], dict[str, str]] | None = None
    logger: Sequence[str] = ()

    @property
    def installed(self) -> bool:
        """Whether it is."""
        return find(self.program) is not None

    @property
    def version(self) -> str:
        """Its name, and the version that the program says it is."""
        asked = subprocess.run([str(find(self.program)), self.ask_version], capture_output=True, text=True, check=True)
        found = re.search(r"\d+(\.\d+)+", asked.stdout + asked.stderr)
        return f"{self.name} {found[0] if found else 'of unknown version'}"


def nginx(ground: Ground) -> str:
    """Connections to the server are kept, and bodies go on as they come, with their own framing."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"    {kind}_temp_path {kind};" for kind in kinds)
    return f"""\
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
{paths}
    log_format seen '$upstream_addr|$status|$request';
    access_log requests.log seen;
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
    """Clients share kept connections wherever they may."""
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
    bind fd@{ground.fd}
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
CustomLog {ground.folder}/requests.log seen
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


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "nginx",
            "nginx",
            nginx,
            ["-p", "{folder}", "-c", "configuration", "-e", "stderr"],
            frozenset({"-"}),
            "-v",
            more=lambda fd: {"NGINX": f"{fd};"},
        ),
        Kind(
            "HAProxy",
            "haproxy",
            haproxy,
            ["-db", "-f", "configuration"],
            frozenset({"<NOSRV>"}),
            "-v",
            log="stderr.txt",
            more=lambda _: {},
        ),
        Kind("Apache", "apache2", apache, ["-DFOREGROUND", "-f", "{folder}/configuration"], frozenset({"-"}), "-v"),
        Kind(
            "Varnish",
            "varnishd",
            varnish,
            ["-F", "-j", "none", "-n", "{folder}/work", "-f", "{folder}/configuration", "-a", "127.0.0.1:{port}",
             "-s", "malloc,8m", "-p", "timeout_idle=3"],
            frozenset({"-", "synth"}),
            "-V",
            logger=["varnishncsa", "-n", "{folder}/work", "-d", "-w", "requests.log", "-F",
                    "%{{Varnish:handling}}x|%s|%m %U%q"],
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Passed:
    """A request as a proxy's log has it: the request line, the status, and whether it was passed on."""

    request: str
    status: int
    passed_on: bool


class Told(Proxy):
    """A proxy that takes no socket: it is told a port that was free a moment ago."""

    def __init__(self, folder: Path, command: Callable[[Path, int, str], Sequence[str]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="proxy-", dir=folder))
        self.errors = self.folder / "stderr.txt"
        self.address = ("127.0.0.1", free_port())
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command(self.folder, -1, "{}:{}".format(*self.address)),
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )

    def __enter__(self) -> Self:
        wait_for(self._accepts, "the proxy to listen", PATIENCE)
        return self

    def _accepts(self) -> bool:
        assert self.process.poll() is None, self.text
        try:
            socket.create_connection(self.address, timeout=1).close()
        except OSError:
            return False
        return True


@contextmanager
def behind(kind: Kind, folder: Path, upstream: int) -> Iterator[Proxy]:
    """The proxy in front of the server on this port of this machine. Its log is whole behind the block."""

    def command(place: Path, fd: int, address: str) -> Sequence[str]:
        port = address.rpartition(":")[2]
        (place / "configuration").write_text(kind.configuration(Ground(place, port, fd, upstream)))
        return [str(find(kind.program)), *(word.format(folder=place, port=port) for word in kind.words)]

    with Told(folder, command) if kind.more is None else Proxy(folder, command, kind.more) as proxy:
        yield proxy
        if kind.logger:
            with Client(proxy.url) as client:
                client.get(LAST)
            logger = [word.format(folder=proxy.folder) for word in kind.logger]
            subprocess.run(
                [str(find(logger[0])), *logger[1:]], check=True, capture_output=True, cwd=proxy.folder, timeout=PATIENCE
            )
            assert LAST in (proxy.folder / kind.log).read_text(encoding="latin-1")


def requests(kind: Kind, proxy: Proxy) -> list[Passed]:
    """Every request that the proxy has logged."""
    lines = (proxy.folder / kind.log).read_text(encoding="latin-1").splitlines()
    parts = [line.split("|", 2) for line in lines if line.count("|") >= 2 and LAST not in line]
    return [
        Passed(request, int(status) if status.isdigit() else 0, passed_on=upstream not in kind.kept)
        for upstream, status, request in parts
    ]

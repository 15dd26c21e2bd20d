"""The addresses of syslog and statsd, and how they are written."""

import re

from msgspec import Struct

SYSLOG_PORT = 514
STATSD_PORT = 8125
HIGHEST_PORT = 65535

FACILITIES = {
    name: number
    for number, name in enumerate((
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    ))
} | {f"local{number}": 16 + number for number in range(8)} | {"security": 4}  # fmt: skip
"""By the names of syslog.conf(5); the numbers are those of RFC 3164 section 4.1.1."""

_HOST_AND_PORT = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+(%\w+)?)\]|(?P<host>[^\s:\[\]/]*))(:(?P<port>[0-9]+))?")


class Target(Struct, frozen=True):
    """Where messages go: a path, or a host and a port; by datagrams, by a stream, or (None) by what is there."""

    stream: bool | None
    path: str = ""
    host: str = ""
    port: int = 0


def check_syslog(text: str) -> None:
    """ValueError unless `parse_syslog` takes it."""
    parse_syslog(text)


def check_statsd(text: str) -> None:
    """ValueError unless `parse_statsd` takes it."""
    parse_statsd(text)


def parse_syslog(text: str) -> Target:
    """The target that `udp://host:514`, `tcp://host`, `unix:///dev/log#dgram` and the like write. Raises ValueError."""
    scheme, slashes, rest = text.partition("://")
    if slashes and scheme == "unix":
        path, _, kind = rest.partition("#")
        if path and kind in ("", "dgram", "stream"):
            return Target({"dgram": False, "stream": True}.get(kind), path)
    elif slashes and scheme in ("udp", "tcp"):
        found = _host_and_port(rest, SYSLOG_PORT)
        if found is not None:
            return Target(scheme == "tcp", "", found[0] or "localhost", found[1])
    raise ValueError(
        f"{text!r} is no address of syslog: write udp://host:514, tcp://host:514, unix:///dev/log, or a unix socket's "
        "sort behind it, #dgram or #stream"
    )


def parse_statsd(text: str) -> Target:
    """The target that `host:8125`, `[::1]:8125`, `unix:///path` and the like write. Raises ValueError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if path:
            return Target(stream=False, path=path)
    elif (found := _host_and_port(text.removeprefix("udp://"), STATSD_PORT)) is not None and found[0]:
        return Target(stream=False, host=found[0], port=found[1])
    raise ValueError(f"{text!r} is no address of a statsd server: write host:8125 or unix:///path")


def _host_and_port(text: str, default: int) -> tuple[str, int] | None:
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"] or default)
    return (found["v6"] or found["host"], port) if 0 < port <= HIGHEST_PORT else None

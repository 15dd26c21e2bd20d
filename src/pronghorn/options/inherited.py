"""What a parent process hands over through the environment: systemd its sockets, an old arbiter its listeners."""

from collections.abc import Mapping, Sequence

HANDOVER = "_PRONGHORN_HANDOVER"
"""Written by the old arbiter of an upgrade for the new one; not `PRONGHORN_…`, which would name a setting."""

LISTEN_PID = "LISTEN_PID"
LISTEN_FDS = "LISTEN_FDS"
LISTEN_FDNAMES = "LISTEN_FDNAMES"
ACTIVATION = (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES)

FIRST = 3
"""The first descriptor that is passed (sd_listen_fds(3), SD_LISTEN_FDS_START)."""

SCHEME = "fd://"


def addressed_to(pid: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the sockets of somebody else: a child inherits the variables, not what they say."""
    if environ.get(LISTEN_PID) == str(pid):
        return dict(environ)
    return {name: value for name, value in environ.items() if name not in ACTIVATION}


def passed_sockets(environ: Mapping[str, str]) -> dict[int, str]:
    """The descriptors that systemd passed, each with its name; "" where it has none. Rubbish counts as no sockets."""
    text = environ.get(LISTEN_FDS, "")
    count = int(text) if text.isascii() and text.isdigit() and environ.get(LISTEN_PID) else 0
    names = environ.get(LISTEN_FDNAMES, "").split(":")
    return {FIRST + index: names[index] if index < len(names) else "" for index in range(min(count, 1024))}


def resolve(addresses: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses with `fd://NAME` replaced by the descriptors of that name; several sockets may share one.

    ValueError if no socket of the name was passed.
    """
    passed = passed_sockets(environ)
    resolved: list[str] = []
    for address in addresses:
        name = address.removeprefix(SCHEME)
        if name == address or name.isdigit():
            resolved.append(address)
            continue
        found = [f"{SCHEME}{fd}" for fd, its_name in passed.items() if its_name == name]
        if not found:
            there = ", ".join(sorted({its for its in passed.values() if its})) or "none"
            raise ValueError(f"no socket named {name!r} was passed to this process (LISTEN_FDNAMES has: {there})")
        resolved += found
    return tuple(dict.fromkeys(resolved))

"""Every call of the standard library that Linux has and macOS has not, and every file of /proc and /sys.

What the native modules call stands in engine/linux.pxd, what needs C to be called from Python in engine/linux.pyx.
"""

import os
import select
import selectors
import socket
from pathlib import Path

PROC_CGROUP = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")

PATCHED = (("select", "epoll"), ("selectors", "EpollSelector"))
"""Module and name of what gevent replaces or removes; the rest of that list is `worker.native.NEEDED`."""

PAGE = os.sysconf("SC_PAGE_SIZE")


def affinity() -> int:
    """The number of CPUs that this process may run on (sched_getaffinity(2)); a quota is not looked at."""
    return len(os.sched_getaffinity(0))


def open_pipe(*, waits: bool) -> tuple[int, int]:
    """The two ends of a pipe that no program started from here inherits; whether reading and writing may wait."""
    return os.pipe2(os.O_CLOEXEC if waits else os.O_CLOEXEC | os.O_NONBLOCK)


def open_selector() -> selectors.EpollSelector:
    """A selector that costs nothing for what is idle in it (epoll(7))."""
    return selectors.EpollSelector()


def has_hung_up(link: socket.socket) -> bool:
    """Whether the other end has gone or will say no more, also while there are unread messages (POLLRDHUP)."""
    watched = select.poll()
    watched.register(link, select.POLLRDHUP)
    return bool(watched.poll(0))


def receive_descriptors(link: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """A message of at most `size` octets and the descriptors with it, which no program started from here inherits."""
    data, descriptors, _, _ = socket.recv_fds(link, size, most, socket.MSG_CMSG_CLOEXEC)
    return data, descriptors


def keep_little_unsent(sock: socket.socket, octets: int) -> None:
    """Has the kernel take no more than that beyond the peer's window (tcp(7), TCP_NOTSENT_LOWAT).

    Sockets that are accepted from a listener inherit it.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, octets)


def socket_name(path: str) -> str:
    """The address of a unix socket; `@name` is one without a file (unix(7), abstract)."""
    return "\0" + path[1:] if path.startswith("@") else path


def become(uid: int, gid: int) -> None:
    """Changes the real, effective and saved ids, all three: with one of them left root could be had back. OSError."""
    os.setresgid(gid, gid, gid)
    # Last, as only root may do the other.
    os.setresuid(uid, uid, uid)


def dead_child(pid: int = 0) -> int | None:
    """Whether this child has ended, or which one has if it is 0; it stays to be reaped.

    ChildProcessError if there is none.
    """
    found = os.waitid(os.P_PID if pid else os.P_ALL, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if found is None else found.si_pid


def command_line(pid: int) -> str:
    """The words that the process was started with, each ended by a NUL. OSError if they cannot be read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def mapped_files(pid: int) -> str:
    """What the process has in its memory, files by their paths (proc(5), maps). OSError if it cannot be read."""
    return Path(f"/proc/{pid}/maps").read_text(errors="replace")


def process_name(pid: int) -> str:
    """The first 15 octets of the process's name. OSError if it cannot be read."""
    return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()


def resident() -> int:
    """Octets of this process that are in memory, pages shared with others included (proc(5), statm)."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - once a second, for ever: no Path is needed for it
        return int(statm.read().split()[1]) * PAGE

"""Another system is one room's work: no other file makes a call that only Linux has."""

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pronghorn"
ROOM = {SOURCE / "linux.py", SOURCE / "engine" / "linux.pxd", SOURCE / "engine" / "linux.pyx"}

LINUX = re.compile(
    r"""\b(?:accept4|copy_file_range|dup3|epoll_\w+|eventfd\w*|fallocate|futex|getrandom|getres[gu]id|gettid|inotify_\w+
    |ioctl|memfd_create|pidfd_\w+|pipe2|posix_fadvise|posix_fallocate|prctl|prlimit|pthread_set\w+_np|recvmmsg
    |sched_[gs]et\w+|sendfile|sendmmsg|setns|setres[gu]id|signalfd|sigtimedwait|sigwaitinfo|splice|sync_file_range
    |syscall|tee|timerfd_\w+|unshare|waitid)\s*\((?!\))
    |\b(?:AF_(?:ALG|NETLINK|PACKET|VSOCK)|CLOCK_(?:BOOTTIME|MONOTONIC_\w+|REALTIME_\w+)|EFD_\w+|E(?:POLL|poll)\w+
    |F_(?:ADD_SEALS|OFD_\w+|SETPIPE_SZ)|MSG_(?:CMSG_CLOEXEC|ERRQUEUE|MORE|ZEROCOPY)|O_(?:DIRECT|NOATIME|PATH|TMPFILE)
    |POLLRDHUP|PR_[GS]ET_\w+|SIOC\w+|SOCK_(?:CLOEXEC|NONBLOCK)|SO_(?:BINDTODEVICE|INCOMING_CPU|MARK|PASSCRED|PEERCRED)
    |TCP_(?:CORK|DEFER_ACCEPT|INFO|NOTSENT_LOWAT|QUICKACK|USER_TIMEOUT)|epoll_event|select\.epoll)\b
    |["'](?:/proc|/sys|/dev/shm)\b|(?<!b)["']\\0["']\s*\+|sys/(?:epoll|eventfd|sendfile|prctl)\.h|linux/\w+\.h|_GNU_SOURCE
    """,
    re.VERBOSE,
)
"""What Linux has and macOS has not: calls, constants, files that tell of processes, sockets without a file, headers."""

COMMENT = re.compile(r"\s#(?!include|define|if|e).*|\(\w+\(2\).*?\)")
TAKEN = re.compile(r"^from pronghorn\.engine\.linux cimport (?:\(([^)]*)\)|([^(\n]+))", re.MULTILINE)


def linux_calls(path):
    """The names of Linux in a file that it does not have from the room."""
    text = path.read_text()
    taken = {name.strip() for groups in TAKEN.findall(text) for group in groups for name in group.split(",")}
    return {found.group().rstrip(" (") for found in LINUX.finditer(COMMENT.sub("", text))} - taken


def test_no_other_file_makes_a_call_that_only_linux_has():
    paths = {path for path in SOURCE.rglob("*") if path.suffix in (".py", ".pyx", ".pxd", ".h")}
    assert paths > ROOM
    assert {path.name: calls for path in paths - ROOM if (calls := linux_calls(path))} == {}


def test_what_is_looked_for_is_found():
    assert {"MSG_MORE", "epoll_wait", "accept4", "linux/sockios.h"} <= linux_calls(SOURCE / "engine" / "linux.pxd")
    assert {"pipe2", "sched_getaffinity", '"/proc', "EpollSelector"} <= linux_calls(SOURCE / "linux.py")

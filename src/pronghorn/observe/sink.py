"""Where log lines go: a descriptor that is written to without ever waiting for its reader.

A log is read by something else (a pipe to a collector, a terminal that was stopped with ^S, a disk that fills up), and
a server that waits for it stops serving. So a line that cannot be written now is dropped and counted, never queued and
never raised.
"""

import os
import select
import stat
import threading
import weakref
from pathlib import Path

STANDARD = "-"

_sinks: "weakref.WeakSet[Sink]" = weakref.WeakSet()
"""Those of this process."""


class Sink:
    """One log file, pipe or terminal, written to in whole lines.

    `target` is a path (a relative one as of now), or `-` for the standard descriptor `standard` (1 or 2). Raises
    OSError when a path cannot be opened: the one moment at which somebody can still repair it. Later troubles are
    counted in `lost`.
    """

    def __init__(self, target: str, standard: int) -> None:
        self.target = target
        self.lost = 0
        self.reason = ""
        self._standard = standard
        # The application may change the current directory before the file is opened anew.
        self._path = Path(target).absolute()
        # Re-entrant, because a signal handler may log in the middle of a write of its own thread.
        self._lock = threading.RLock()
        self._torn = False
        self._descriptor = -1
        self._regular = True
        self._waits = False
        self.reopen()
        _sinks.add(self)

    def __repr__(self) -> str:
        return f"<Sink {self.name} lost={self.lost}>"

    @property
    def name(self) -> str:
        """The target as a message shows it."""
        if self.target != STANDARD:
            return self.target
        return "standard output" if self._standard == 1 else "standard error"

    def reopen(self) -> None:
        """Opens the target anew, as after logrotate moved it.

        Raises OSError and goes on with the old one when that fails.
        """
        descriptor = _open_standard(self._standard) if self.target == STANDARD else _open_path(self._path)
        with self._lock:
            old, self._descriptor = self._descriptor, descriptor
            self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            self._waits = os.get_blocking(descriptor)
            self._torn = False
        if old >= 0:
            os.close(old)

    def give_to(self, uid: int, gid: int) -> None:
        """Makes the log file the user's own, who will open it anew. Raises OSError if that cannot be done."""
        if self.target != STANDARD:
            give_file(self._path, self._descriptor, uid, gid)

    def fileno(self) -> int:
        """The descriptor that is written to; another one after `reopen`."""
        return self._descriptor

    def close(self) -> None:
        """Gives the descriptor back; what is written from now on is lost."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def write(self, lines: bytes) -> bool:
        """Writes whole lines (the last byte is a line feed); never raises, never waits.

        Says whether all of them were taken.
        """
        with self._lock:
            if self._torn:
                lines = b"\n" + lines
            return self._write_regular(lines) if self._regular else self._write_pieces(lines)

    def forget_threads(self) -> None:
        """Called in a child: a thread that was writing at the fork is not here, and would hold the lock for ever.

        The arbiter has threads where hooks have started some, and applications fork.
        """
        self._lock = threading.RLock()

    def taken_back(self) -> tuple[int, str]:
        """How many lines were lost since the last call, and why the last of them was."""
        with self._lock:
            lost, self.lost = self.lost, 0
            return lost, self.reason

    def _write_regular(self, lines: bytes) -> bool:
        # One call for everything: with O_APPEND the kernel keeps the lines of several workers apart.
        try:
            written = os.write(self._descriptor, lines)
        except OSError as error:
            self._lose(lines, error.strerror or str(error))
            return False
        return self._settle(lines, written)

    def _write_pieces(self, lines: bytes) -> bool:
        # A pipe takes PIPE_BUF octets whole or not at all, and one that polls writable takes them at once (pipe(7));
        # more could be torn, or wait.
        at = 0
        while at < len(lines):
            piece = lines[at : _piece_end(lines, at)]
            try:
                written = os.write(self._descriptor, piece) if self._takes_piece() else 0
            except BlockingIOError:
                written = 0
            except OSError as error:
                self._torn = self._torn or lines[at - 1 : at] not in (b"", b"\n")
                self._lose(lines[at:], error.strerror or str(error))
                return False
            at += written
            if written < len(piece):
                return self._settle(lines, at)
        self._torn = False
        return True

    def _settle(self, lines: bytes, written: int) -> bool:
        if written:
            self._torn = lines[written - 1] != 0x0A
        if written == len(lines):
            return True
        # A line that was cut counts as lost: what stands in the file is not the whole of it.
        self._lose(lines[written:], "it takes no more at present")
        return False

    def _lose(self, lines: bytes, reason: str) -> None:
        self.lost += lines.count(b"\n") - lines.startswith(b"\n")
        self.reason = reason

    def _takes_piece(self) -> bool:
        if not self._waits:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(0))


def _piece_end(lines: bytes, at: int) -> int:
    """Where the next write ends: behind the last whole line that fits, or inside a line that is longer than a write."""
    most = at + select.PIPE_BUF
    if most >= len(lines):
        return len(lines)
    end = lines.rfind(b"\n", at, most)
    return end + 1 if end >= 0 else most


def _open_path(path: Path) -> int:
    # O_NONBLOCK: a named pipe that nobody reads fails here and now, where it would wait for ever without.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, 0o644)


def _open_standard(descriptor: int) -> int:
    """A descriptor of our own for a standard one, non-blocking where that is possible.

    Several workers write to one pipe, so one that polled it writable can find it full. O_NONBLOCK on the shared
    description would also be set for the shell and for every neighbour; opened anew through /dev/fd it is ours alone.
    Sockets and descriptors of another user cannot be opened so, and a regular file must not be: it would lose the
    shared offset.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return os.dup(descriptor)
    return os.dup(descriptor)


def give_file(path: str | Path, descriptor: int, uid: int, gid: int) -> None:
    """Makes the open log file the user's own. OSError if that cannot be done.

    Only a plain file under the very path: behind a symbolic or a hard link somebody who may write to the folder could
    have put a file that is nobody else's to give away (CVE-2016-1247).
    """
    here = os.fstat(descriptor)
    if not stat.S_ISREG(here.st_mode):
        return
    there = os.lstat(path)
    if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and here.st_nlink == 1:
        os.fchown(descriptor, uid, gid)


def _forget_threads() -> None:
    for sink in _sinks:
        sink.forget_threads()


os.register_at_fork(after_in_child=_forget_threads)

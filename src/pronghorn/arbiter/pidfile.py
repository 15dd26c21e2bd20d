"""The file that holds the arbiter's process id while it runs."""

import logging
import os
from pathlib import Path

from pronghorn.errors import StartError
from pronghorn.linux import command_line, mapped_files

MODE = 0o644

NEW = ".2"
"""Behind the pidfile's name while the old arbiter of an upgrade lives, as with Gunicorn."""

SERVERS = ("gunicorn", "pronghorn")

log = logging.getLogger("pronghorn.error")


class Pidfile:
    """Written whole or not at all, never taken from an arbiter that lives, removed only by who wrote it.

    Arguments:
        predecessor: process id of the arbiter whose place this one takes; 0 if none. As long as that one has the
            file, the name ends in `.2`.
    """

    def __init__(self, path: str, predecessor: int = 0) -> None:
        self.destination = Path(path).absolute()
        self.path = self.destination
        self._owner = 0
        if predecessor and self.read() == predecessor:
            self.path = self.destination.with_name(self.destination.name + NEW)

    def write(self) -> None:
        """Creates or takes over the file. StartError if another living server holds it or it cannot be written."""
        holder = self.read()
        if holder is not None and holder != os.getpid() and _lives(holder):
            if _is_server(holder):
                raise StartError(
                    f"pidfile {self.path} names process {holder}, which is running: stop that one first, "
                    "or give this one another --pid"
                )
            log.info("pidfile %s is stale: process %d is something else now; it is taken over", self.path, holder)
        # Beside the target, because a rename is atomic only within one file system.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
            try:
                os.write(descriptor, f"{os.getpid()}\n".encode())
            finally:
                os.close(descriptor)
            draft.replace(self.path)
        except OSError as error:
            _remove(draft)
            raise StartError(f"pidfile {self.path} cannot be written: {error.strerror}") from error
        self._owner = os.getpid()

    def read(self) -> int | None:
        """The process id in the file; None if there is no file or no number in it."""
        return _read(self.path)

    def promote(self) -> None:
        """Takes the name that the old arbiter's file had, in one step: there is always a file."""
        if self.path == self.destination or self._owner != os.getpid() or self.read() != self._owner:
            return
        try:
            self.path.replace(self.destination)
        except OSError as error:
            log.warning("pidfile %s cannot be renamed to %s: %s", self.path, self.destination, error.strerror)
        else:
            self.path = self.destination

    def remove(self) -> None:
        """Removes the file if it is still this process's."""
        if self._owner == os.getpid() and self.read() == self._owner:
            _remove(self.path)

    def __repr__(self) -> str:
        return f"<Pidfile {self.path} holds {self.read()}>"


def remove_stale(path: Path, pid: int) -> None:
    """Removes the pidfile of a process that is gone, if it still names that one."""
    if _read(path) == pid:
        _remove(path)


def _read(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdigit() else None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # Stale it does no harm: the next start sees that its process is gone.
        log.warning("%s cannot be removed: %s", path, error.strerror)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_server(pid: int) -> bool:
    """Whether the process is a server that writes pidfiles: its own number, after a reboot, may be anybody's.

    Any program can call `pronghorn.run`, so its command line says little; that it has loaded our native modules does.
    Whatever cannot be read counts as a server.
    """
    try:
        words = command_line(pid)
        return any(server in words for server in SERVERS) or "/pronghorn/engine/" in mapped_files(pid)
    except OSError:
        return True

"""The file that holds the arbiter's process id while it runs."""

import os
from pathlib import Path

from pronghorn.errors import StartError


class Pidfile:
    """Written whole or not at all, never taken from an arbiter that lives, removed only by who wrote it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self._owner = 0

    def write(self) -> None:
        """Creates or takes over the file. StartError if another living process holds it or it cannot be written."""
        holder = self.read()
        if holder is not None and holder != os.getpid() and _lives(holder):
            raise StartError(
                f"pidfile {self.path} names process {holder}, which is running: stop that one first, "
                "or give this one another --pid"
            )
        # Beside the target, because a rename is atomic only within one file system.
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{os.getpid()}\n", encoding="ascii")
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StartError(f"pidfile {self.path} cannot be written: {error.strerror}") from error
        self._owner = os.getpid()

    def read(self) -> int | None:
        """The process id in the file; None if there is no file or no number in it."""
        try:
            text = self.path.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return None
        return int(text) if text.isascii() and text.isdigit() else None

    def remove(self) -> None:
        """Removes the file if it is still this process's."""
        if self._owner == os.getpid() and self.read() == self._owner:
            self.path.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<Pidfile {self.path} holds {self.read()}>"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

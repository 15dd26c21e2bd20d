"""Real proxies in front of a server, each with a configuration of the test's in its own folder.

Each listens on a socket that is bound here, on a port of the kernel's choice, and handed over: no port can be taken in
between, and a connection that comes before the proxy is ready waits in the socket.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import PATIENCE, environment


def find(command: str) -> str | None:
    """Where a proxy is: those of the system are often on root's path only."""
    return shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


class Proxy:
    """A process that accepts on `address`. Leaving the block stops it; what it said is in `text`.

    Arguments:
        folder: where its files go.
        command: makes the words of its command line from its own folder and the descriptor of the socket.
        more: variables of its environment, made from the descriptor.
    """

    def __init__(
        self,
        folder: Path,
        command: Callable[[Path, int, str], Sequence[str]],
        more: Callable[[int], dict[str, str]] = lambda _: {},
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="proxy-", dir=folder))
        self.errors = self.folder / "stderr.txt"
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, self.errors.open("wb") as errors:
            self.address: tuple[str, int] = listener.getsockname()[:2]
            fd = listener.fileno()
            self.process = subprocess.Popen(
                command(self.folder, fd, f"{self.address[0]}:{self.address[1]}"),
                cwd=self.folder,
                env=environment(**more(fd)),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[fd],
            )

    @property
    def url(self) -> str:
        """Where it is reached."""
        return "http://{}:{}".format(*self.address)

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.errors.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)
        if error is not None:
            print(f"the proxy said:\n{self.text}")

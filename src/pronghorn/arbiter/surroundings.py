"""What an arbiter finds at its start: how it was started, by whom, and what was handed to it."""

import contextlib
import os
from dataclasses import dataclass

from pronghorn.arbiter.command import Command
from pronghorn.arbiter.notify import VARIABLES, Notifier
from pronghorn.arbiter.succession import Predecessor, find_predecessor
from pronghorn.options.inherited import ACTIVATION, addressed_to, passed_sockets


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What it finds.

    Arguments:
        command: runs as the new arbiter of an upgrade.
        predecessor: the old arbiter, if this is the new one.
        notifier: tells systemd, if there is one.
        passed: descriptors of the sockets that systemd passed.
    """

    command: Command
    predecessor: Predecessor | None
    notifier: Notifier
    passed: tuple[int, ...]

    @classmethod
    def find(cls) -> "Surroundings":
        """Looks around, once; the variables are taken out of the environment, for they are not the application's."""
        predecessor = find_predecessor()
        command = Command.of_this_process()
        passed = tuple(passed_sockets(addressed_to(os.getpid(), os.environ)))
        for fd in passed:
            # Nor are the descriptors for the programs it runs. One that is not open is named when it is listened on.
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library's own signature
        notifier = Notifier(os.environ)
        for name in (*ACTIVATION, *VARIABLES):
            os.environ.pop(name, None)
        return cls(command, predecessor, notifier, passed)

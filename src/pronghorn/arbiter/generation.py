"""What the workers of one generation are made from: the settings, open listeners, an open access log."""

from collections.abc import Sequence
from dataclasses import dataclass

from pronghorn.arbiter import ownership
from pronghorn.arbiter.fleet import Policy
from pronghorn.arbiter.listeners import Listener, close_listeners, open_listeners
from pronghorn.errors import StartError
from pronghorn.observe.access import AccessLog
from pronghorn.observe.lines import RequestLines
from pronghorn.options import LogOptions, Settings
from pronghorn.options.development import READABLE
from pronghorn.worker.privileges import account_of, masked


@dataclass(frozen=True, slots=True)
class Generation:
    """What the workers of one generation are made from."""

    settings: Settings
    listeners: tuple[Listener, ...]
    access: AccessLog | None

    @classmethod
    def prepare(cls, settings: Settings, held: Sequence[Listener] = ()) -> "Generation":
        """Opens what the settings name; StartError if that cannot be done.

        Arguments:
            held: listeners that are open already and are used again where the addresses are the same.
        """
        account_of(settings.identity)  # One clear line now instead of one from each worker.
        network = settings.network
        with masked(settings.identity.umask, alone=True):
            listeners = open_listeners(network.bind, network.backlog, held, reuse_port=network.reuse_port)
        try:
            return cls.with_listeners(settings, listeners)
        except StartError:
            close_listeners(listener for listener in listeners if listener not in held)
            raise

    @classmethod
    def with_listeners(cls, settings: Settings, listeners: Sequence[Listener]) -> "Generation":
        """Opens the access log; the listeners are open. StartError if that cannot be done."""
        logs = settings.logs
        # Opened here and inherited: one clear line now instead of one from each worker.
        with masked(settings.identity.umask):
            access = _open_access_log(logs) if logs.accesslog else None
        return cls(settings, tuple(listeners), access)

    def give(self) -> None:
        """Gives the sockets and log files to the user that its workers become; StartError if that cannot be done.

        Not before the generation is to have a worker: until then they are those of the users before.
        """
        ownership.give(self.settings, self.listeners, self.access)

    @property
    def policy(self) -> Policy:
        """What the arbiter's decisions depend on."""
        fleet = self.settings.fleet
        return Policy(
            size=fleet.workers,
            graceful_timeout=fleet.graceful_timeout,
            boot_timeout=fleet.boot_timeout,
            timeout=self.settings.engine.timeout,
            drain_delay=fleet.drain_delay,
            recycle_at_once=fleet.recycle_at_once,
            abrupt=self.settings.development.reload,
        )


def _open_access_log(logs: LogOptions) -> AccessLog:
    target = logs.accesslog or ""
    return RequestLines(target) if logs.access_log_format == READABLE else AccessLog(logs.access_log_format, target)

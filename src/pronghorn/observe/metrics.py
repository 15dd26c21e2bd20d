"""The statsd server of this process, if there is one: counting what the error log says, measuring the fleet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pronghorn.errors import SettingsError
from pronghorn.options.logs import LogOptions

if TYPE_CHECKING:
    from pronghorn.observe.statsd import Statsd

NAMES = {"WARNING": "gunicorn.log.warning", "ERROR": "gunicorn.log.error", "CRITICAL": "gunicorn.log.critical"}
EXCEPTION = "gunicorn.log.exception"

log = logging.getLogger("pronghorn.error")


class Counter(logging.Handler):
    """Counts the warnings and errors of the error log by their level."""

    def __init__(self, statsd: Statsd, options: LogOptions) -> None:
        super().__init__(logging.WARNING)
        self.statsd = statsd
        self.key = _key(options)

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one. An error with a traceback is an exception, as with Gunicorn."""
        name = NAMES.get(record.levelname)
        if name is not None:
            self.statsd.count(EXCEPTION if record.levelno == logging.ERROR and record.exc_info else name)


class Gauge:
    """Tells the statsd server a number whenever it is another one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown: tuple[int, Statsd | None] = (-1, None)

    def show(self, value: int) -> None:
        """The number as it is now."""
        statsd = current()
        if statsd is not None and (value, statsd) != self._shown:
            statsd.measure(self._name, value, "gauge")
            self._shown = (value, statsd)

    def forget(self) -> None:
        """Another process may have told another number: the next is told in any case."""
        self._shown = (-1, None)


class Growth:
    """Tells the statsd server by how much counters have grown since it was told last.

    Arguments:
        prefix: what stands before the name of each.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._told: dict[str, int] = {}

    def show(self, counts: Mapping[str, int]) -> None:
        """The counts as they are now; those of a process of its own begin at 0."""
        statsd = current()
        if statsd is None:
            return
        for name, count in counts.items():
            if grown := count - self._told.get(name, 0):
                statsd.measure(self._prefix + name, grown, "counter")
                self._told[name] = count


_counter: Counter | None = None
"""Held here as well: whoever configures `logging` throws handlers out."""


def setup(options: LogOptions) -> None:
    """Connects to the statsd server that is set, unless that is done; counts what the error log says.

    A name that cannot be looked up is a warning: nobody should be without a server because the one for metrics is not
    there.
    """
    global _counter  # noqa: PLW0603 - one for each process
    if _counter is not None and _counter.key == _key(options):
        log.addHandler(_counter)
        return
    if _counter is not None:
        log.removeHandler(_counter)
        _counter.statsd.close()
        _counter = None
    if options.statsd_host is None:
        return
    from pronghorn.observe.statsd import Statsd  # noqa: PLC0415 - few servers have one

    try:
        statsd = Statsd(options.statsd_host, prefix=options.statsd_prefix, tags=options.dogstatsd_tags)
    except SettingsError as error:
        log.warning("%s. Nothing is measured", error)
        return
    _counter = Counter(statsd, options)
    log.addHandler(_counter)


def current() -> Statsd | None:
    """What metrics are sent to."""
    return None if _counter is None else _counter.statsd


def measure(name: object, value: object, kind: object) -> None:
    """Sends one metric, if there is a server and the metric is whole."""
    statsd = current()
    if statsd is not None and name and value is not None and kind:
        statsd.measure(str(name), value, str(kind))


def _key(options: LogOptions) -> tuple[str | None, str, str]:
    return options.statsd_host, options.statsd_prefix, options.dogstatsd_tags

"""The statsd server of this process, if there is one: counting what the error log says, measuring the fleet."""

import logging

from pronghorn.errors import SettingsError
from pronghorn.observe.statsd import Statsd
from pronghorn.options.logs import LogOptions

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


def setup(options: LogOptions) -> None:
    """Connects to the statsd server that is set, unless that is done; counts what the error log says.

    A name that cannot be looked up is a warning: nobody should be without a server because the one for metrics is not
    there.
    """
    for counter in _counters():
        if counter.key == _key(options):
            return
        log.removeHandler(counter)
        counter.statsd.close()
    if options.statsd_host is None:
        return
    try:
        statsd = Statsd(options.statsd_host, prefix=options.statsd_prefix, tags=options.dogstatsd_tags)
    except SettingsError as error:
        log.warning("%s. Nothing is measured", error)
        return
    log.addHandler(Counter(statsd, options))


def current() -> Statsd | None:
    """What metrics are sent to."""
    return next((counter.statsd for counter in _counters()), None)


def _counters() -> list[Counter]:
    return [handler for handler in log.handlers if isinstance(handler, Counter)]


def _key(options: LogOptions) -> tuple[str | None, str, str]:
    return options.statsd_host, options.statsd_prefix, options.dogstatsd_tags

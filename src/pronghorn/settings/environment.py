"""Settings from the environment: `PRONGHORN_<NAME>`, and the names that platforms set."""

import re
from collections.abc import Mapping

from pronghorn.options.inherited import LISTEN_FDS, SCHEME, passed_sockets
from pronghorn.options.table import TABLE
from pronghorn.settings.given import REMEDY, Given, Layer, unknown
from pronghorn.settings.gunicorn import ABSENT

PREFIX = "PRONGHORN_"
PORT = "PORT"

SERVICE_LINK = re.compile(r"PRONGHORN_((.+_)?SERVICE_(HOST|PORT(_.+)?)|(.+_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_.+)?)?)")
"""What Kubernetes and Docker put into every container beside a service that somebody called "pronghorn"."""


def read_platform(environ: Mapping[str, str]) -> Layer:
    """What the platform says, in variables that are not ours: it gives way to every other source, as with Gunicorn.

    An empty variable counts as not set, as in most compose files.
    """
    layer = Layer()
    theirs = {variable: name for name, entry in TABLE.items() for variable in entry.option.environment}
    theirs |= {absent.environment: name for name, absent in ABSENT.items() if absent.environment}
    for variable, name in theirs.items():
        if environ.get(variable):
            layer.given.append(Given(name, environ[variable], f"environment {variable}"))
    return layer


def read_environment(environ: Mapping[str, str]) -> Layer:
    """The settings in our own variables. An empty one counts as not set."""
    layer = Layer()
    ours = {entry.variable: name for name, entry in TABLE.items() if entry.variable}
    known = ours | {PREFIX + name.upper(): name for name in ABSENT}
    for variable, name in known.items():
        if environ.get(variable):
            layer.given.append(Given(name, environ[variable], f"environment {variable}"))
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known and not SERVICE_LINK.fullmatch(variable):
            layer.problems.append(f"environment: {unknown(variable, list(ours), REMEDY)}")
    return layer


def read_port(environ: Mapping[str, str]) -> Layer:
    """The default of `bind` where a platform says it: systemd passes sockets, others name the port in `PORT`.

    It gives way to every other source.
    """
    layer = Layer()
    passed = [f"{SCHEME}{fd}" for fd in passed_sockets(environ)]
    if passed:
        layer.given.append(Given("bind", passed, f"environment {LISTEN_FDS}"))
    elif environ.get(PORT):
        layer.given.append(Given("bind", f"0.0.0.0:{environ[PORT]}", f"environment {PORT}"))
    return layer

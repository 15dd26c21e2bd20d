"""What answers the requests of one worker: the WSGI call, and in front of it what else the settings ask to be read."""

from collections.abc import Callable, Sequence
from socket import socket
from typing import Any, TextIO

from pronghorn.apps.proxied import Proxied
from pronghorn.apps.uwsgi import Uwsgi
from pronghorn.apps.wsgi import WSGI
from pronghorn.options import EngineOptions, TrustOptions

Handler = WSGI | Proxied | Uwsgi


def make_handler(  # noqa: PLR0913 - what a handler is made of
    app: Callable[..., Any],
    listeners: Sequence[socket],
    options: EngineOptions,
    trust: TrustOptions,
    *,
    protocol: str,
    errors: TextIO,
    multithread: bool,
    multiprocess: bool,
    mount: str = "",
    id_header: str = "X-Request-ID",
) -> Handler:
    """The handler of an engine that serves the WSGI callable `app` on `listeners`.

    Arguments:
        protocol: `http` or `uwsgi`.
        errors: becomes `wsgi.errors`.
        multithread: whether calls may overlap in this process.
        mount: where the application stands unless a proxy says so, without a `/` behind it.
        id_header: the header in which a trusted peer tells a request's id.
    """
    uwsgi = protocol == "uwsgi"
    handler = WSGI(
        app,
        options,
        listeners,
        trust=trust,
        errors=errors,
        multithread=multithread,
        multiprocess=multiprocess,
        mount="" if uwsgi else mount,
        id_header=id_header,
    )
    if uwsgi:
        return Uwsgi(handler, options, trust, mount)
    if trust.proxy_protocol != "off":
        return Proxied(handler, trust)
    return handler

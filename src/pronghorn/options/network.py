"""What can be set about the listeners."""

from typing import Annotated

from msgspec import Struct

from pronghorn.options.address import parse_address
from pronghorn.options.option import Option


class NetworkOptions(Struct, frozen=True, kw_only=True):
    """The sockets the server listens on."""

    bind: Annotated[
        tuple[str, ...],
        Option(
            doc="Where to listen: `host:port`, `[::1]:8000`, `:8000` (every IPv4 address), `unix:/path`, or a "
            "socket that is passed: `fd://3`, or `fd://web` by its name in a systemd unit. May be given several times.",
            flags=("--bind", "-b"),
            gunicorn="bind",
            metavar="ADDRESS",
            check=parse_address,
            default_text="`127.0.0.1:8000`, or `0.0.0.0:$PORT` where the environment has `PORT`, or the sockets that "
            "systemd passes",
        ),
    ] = ("127.0.0.1:8000",)

    backlog: Annotated[
        int,
        Option(
            doc="Connections the kernel may hold for a listener before a worker accepts them. The kernel cuts it to "
            "`net.core.somaxconn`.",
            gunicorn="backlog",
            minimum=1,
            maximum=65535,
        ),
    ] = 2048

    reuse_port: Annotated[
        bool,
        Option(
            doc="Whether other servers may listen on the same TCP ports (`SO_REUSEPORT`); the kernel then spreads "
            "connections over all of them. A server that ends loses those that wait in its own queue.",
            gunicorn="reuse_port",
        ),
    ] = False

    protocol: Annotated[
        str,
        Option(
            doc="What is spoken on the listeners: `http`, or the binary protocol `uwsgi` of nginx's `uwsgi_pass`.",
            gunicorn="protocol",
            choices=("http", "uwsgi"),
        ),
    ] = "http"

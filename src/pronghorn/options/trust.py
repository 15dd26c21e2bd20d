"""What can be set about the peers whose word is believed."""

import ipaddress
from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import Option

EVERYONE = "*"


def check_network(text: str) -> None:
    """ValueError unless `text` is an address, a network or `*`."""
    if text == EVERYONE:
        return
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}: write an address, a network such as 10.0.0.0/8, or {EVERYONE}") from error


class TrustOptions(Struct, frozen=True, kw_only=True):
    """The proxies in front, if there are any."""

    forwarded_allow_ips: Annotated[
        tuple[str, ...],
        Option(
            doc="Addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-*` headers are believed; `*` "
            "believes everyone, for a server that only its proxy can reach.",
            gunicorn="forwarded_allow_ips",
            metavar="ADDRESS,…",
            check=check_network,
            environment=("FORWARDED_ALLOW_IPS",),
        ),
    ] = ("127.0.0.1", "::1")

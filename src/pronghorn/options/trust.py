"""What can be set about the peers whose word is believed."""

import ipaddress
import re
from typing import Annotated

from msgspec import Struct

from pronghorn.options.option import Option

EVERYONE = "*"

FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token of RFC 9110 section 5.6.2."""

FRAMING = ("CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING")


def check_network(text: str) -> None:
    """ValueError unless `text` is an address, a network or `*`."""
    if text == EVERYONE:
        return
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}: write an address, a network such as 10.0.0.0/8, or {EVERYONE}") from error


def check_forwarder_header(text: str) -> None:
    """ValueError unless `text` names one header, and one that can be believed without harm."""
    if text == EVERYONE:
        raise ValueError(
            f"{EVERYONE} would let every X_Some_Header pass for X-Some-Header (request smuggling): name the headers"
        )
    if not FIELD_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a header name: write names such as SCRIPT_NAME,REMOTE_USER")
    if text.upper() in FRAMING:
        raise ValueError(f"{text} says how a body is framed, which no proxy may say a second time: take it out")


def check_header_map(text: str) -> None:
    """ValueError unless `text` says what to do with an underscore that is no risk."""
    if text == "dangerous":
        raise ValueError(
            "dangerous would let X_Forwarded_For pass for X-Forwarded-For (request smuggling): name the headers that "
            "your proxy sends with an underscore in forwarder_headers"
        )
    if text not in ("drop", "refuse"):
        raise ValueError(f"{text!r} is neither drop nor refuse")


def check_scheme_header(text: str) -> None:
    """ValueError unless `text` is `NAME=value` with the name of a header."""
    name, equals, value = text.partition("=")
    if not FIELD_NAME.fullmatch(name) or "_" in name or not equals or not value.strip():
        raise ValueError(f"{text!r} is not a header and its value: write X-Forwarded-Proto=https")


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

    secure_scheme_headers: Annotated[
        tuple[str, ...],
        Option(
            doc="Headers of trusted proxies that make a request one of https, each `NAME=value`; a file may hold a "
            "table of them. Headers that contradict each other are answered 400.",
            gunicorn="secure_scheme_headers",
            metavar="NAME=VALUE,…",
            check=check_scheme_header,
            takes_table=True,
        ),
    ] = ("X-Forwarded-Protocol=ssl", "X-Forwarded-Proto=https", "X-Forwarded-Ssl=on")

    forwarder_headers: Annotated[
        tuple[str, ...],
        Option(
            doc="Headers with an underscore in their name that a trusted proxy may send: `SCRIPT_NAME` is where the "
            "application is mounted, `REMOTE_USER` becomes `HTTP_REMOTE_USER`. Nobody else can set what they set, "
            "with a hyphen either.",
            gunicorn="forwarder_headers",
            metavar="NAME,…",
            check=check_forwarder_header,
        ),
    ] = ("SCRIPT_NAME", "PATH_INFO")

    header_map: Annotated[
        str,
        Option(
            doc="What becomes of any other header with an underscore in its name, which in the environ could pass for "
            "one with a hyphen: `drop` leaves it out, `refuse` answers the request 400.",
            gunicorn="header_map",
            choices=("drop", "refuse"),
            check=check_header_map,
        ),
    ] = "drop"

    proxy_protocol: Annotated[
        str,
        Option(
            doc="Whether a connection may begin with a PROXY header, of version `v1`, `v2` or either (`auto`), in "
            "which a proxy says whom it forwards: `REMOTE_ADDR` and the logs then show the client. The proxy must "
            "send it on every connection, for where it does not its clients can.",
            gunicorn="proxy_protocol",
            choices=("off", "auto", "v1", "v2"),
            aliases={"false": "off", "0": "off", "none": "off", "true": "auto", "1": "auto"},
            bare="auto",
        ),
    ] = "off"

    proxy_allow_ips: Annotated[
        tuple[str, ...],
        Option(
            doc="Addresses or networks of the proxies that may send a PROXY header; from others it is answered 400. "
            "`*` means everyone.",
            flags=("--proxy-allow-from",),
            gunicorn="proxy_allow_ips",
            metavar="ADDRESS,…",
            check=check_network,
        ),
    ] = ("127.0.0.1", "::1")

    uwsgi_allow_ips: Annotated[
        tuple[str, ...],
        Option(
            doc="Addresses or networks of those who may speak the uwsgi protocol, if that is the `protocol`; others "
            "are answered 403. `*` means everyone.",
            flags=("--uwsgi-allow-from",),
            gunicorn="uwsgi_allow_ips",
            metavar="ADDRESS,…",
            check=check_network,
        ),
    ] = ("127.0.0.1", "::1")

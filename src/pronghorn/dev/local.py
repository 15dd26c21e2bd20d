"""Whether a request comes from this machine: what helps a developer helps an attacker as well."""

from collections.abc import Mapping
from typing import Any

from pronghorn.options.address import is_loopback

_UNREADABLE = ("HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_CF_CONNECTING_IP", "HTTP_TRUE_CLIENT_IP")
"""Somebody forwards for somebody: without `X-Forwarded-For` that is nobody whom we know."""


def is_local(environ: Mapping[str, Any]) -> bool:
    """Whether the client is on this machine, and asks for this machine.

    A proxy or a tunnel on this machine connects from it for anybody, but says so; a page of an attacker can have a
    browser connect from it, under a name of the attacker's that resolves to 127.0.0.1 (DNS rebinding).
    """
    # Of a peer at a unix socket, mostly a proxy, nothing is known.
    if not is_loopback(environ.get("REMOTE_ADDR", "")):
        return False
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if forwarded is not None:
        if not all(is_loopback(hop.strip()) for hop in forwarded.split(",")):
            return False
    elif any(name in environ for name in _UNREADABLE):
        return False
    return is_loopback(host_of(environ.get("HTTP_HOST", "")))


def host_of(authority: str) -> str:
    """The host of a Host header, without its port and brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]

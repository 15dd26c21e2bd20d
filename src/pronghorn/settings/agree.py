"""Whether the settings agree with each other and with the machine."""

import glob
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pronghorn.errors import SettingsError
from pronghorn.options.access_format import compile_format
from pronghorn.options.address import FdAddress, TcpAddress, UnixAddress, is_loopback, parse_address
from pronghorn.options.fleet import GEVENT, WORKER_CLASSES
from pronghorn.options.option import Unit
from pronghorn.options.patched import objection
from pronghorn.settings.given import DEFAULT, Given, Patch
from pronghorn.settings.units import format_quantity

MEANT_BY_CLASS = {"sync": ("threads", 1), GEVENT: ("worker_connections", 1000)}
"""The setting that a worker class chooses as long as nobody else does."""

LEAST_MEMORY = 16 * 1024**2
"""Bytes; no Python process with an application is smaller, so less is mostly a number without its unit."""

OWN_ADDRESS = "127.0.0.1"
"""Where the request for `ready_path` comes from, as the engine shows it."""

LEAST_LIFETIME = 1
"""Seconds."""


def remarks(given: Given, value: object) -> Iterator[str]:
    """One line where a name is taken that stands for something a little different."""
    if given.name == "worker_class" and value == GEVENT and "wsgi" in str(given.value).lower():
        yield f"{given.origin}: worker_class {given.value} is served by gevent: one worker class is both here"


def refusal(patch: Patch, worker_class: str) -> str | None:
    """The line for a file that replaces Python's threads, if the worker class needs them.

    What a class of the user's own needs is known when a worker is made.
    """
    wrong = objection(patch.package, greenlets=worker_class == GEVENT or worker_class not in WORKER_CLASSES)
    return wrong and f"{patch.origin}: it has {patch.package} {wrong}"


def cautions(values: Mapping[str, Any], origins: Mapping[str, str], cwd: Path) -> Iterator[str]:
    """One line for each setting that has another effect than its name says, or none beside another one."""
    if values["worker_class"] == GEVENT and origins["threads"] != DEFAULT:
        yield f"{origins['threads']}: threads means nothing with worker_class gevent; worker_connections bounds it"
    if values["log_format"] == "json" and origins["access_log_format"] != DEFAULT:
        yield f"{origins['access_log_format']}: access_log_format means nothing with log_format json"
    for name in ("logconfig_dict", "logconfig_json", "logconfig"):
        if values["log_format"] == "json" and values[name]:
            yield f"{origins[name]}: {name} has formatters of its own; log_format json is for the server's own files"
    if (values["reload"] or values["debug"]) and origins["preload_app"] != DEFAULT:
        yield f"{origins['preload_app']}: preload_app is left out, because reload and debug import in the worker"
    if values["reload"]:
        for name in values["reload_extra_files"]:
            if not glob.has_magic(name) and not (cwd / name).exists():
                yield f"{origins['reload_extra_files']}: reload_extra_files {name} is not there yet; it is waited for"


def reachable(bind: Iterable[str]) -> Iterator[str]:
    """Those of the addresses that other machines can reach, or may: by a proxy, or because they are inherited."""
    for text in bind:
        match parse_address(text):
            case TcpAddress(host) if not is_loopback(host):
                yield text
            case FdAddress() | UnixAddress():
                yield text


def _missing_packages(values: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    """One line for each setting whose package is not installed."""
    if values["worker_class"] == GEVENT and importlib.util.find_spec("gevent") is None:
        yield f"{origins['worker_class']}: worker_class gevent needs gevent: pip install 'pronghorn[gevent]'"
    if values["reload_engine"] == "inotify" and values["reload"] and importlib.util.find_spec("watchfiles") is None:
        yield (
            f"{origins['reload_engine']}: reload_engine inotify needs the package watchfiles; "
            "pip install 'pronghorn[reload]', or use poll"
        )


def contradictions(values: Mapping[str, Any], origins: Mapping[str, str], cwd: Path) -> Iterator[str]:
    """One line for each setting that another one, or a missing directory, leaves without its effect."""
    head = values["limit_request_head"]
    yield from _missing_packages(values, origins)
    for name in ("limit_request_line", "limit_request_field_size"):
        if values[name] > head:
            yield (
                f"{origins[name]}: {name} is more than limit_request_head, {format_quantity(head, Unit.BYTES)} "
                f"({origins['limit_request_head']}); raise limit_request_head too"
            )
    yield from _malformed(values, origins)
    if not values["bind"]:
        yield f"{origins['bind']}: bind is empty; name an address such as 127.0.0.1:8000"
    for name, least, unit in (
        ("max_memory", LEAST_MEMORY, Unit.BYTES),
        ("max_lifetime", LEAST_LIFETIME, Unit.SECONDS),
    ):
        if 0 < values[name] < least:
            yield (
                f"{origins[name]}: {name} is {format_quantity(values[name], unit)}; the least is "
                f"{format_quantity(least, unit)}, and 0 means no limit"
            )
    if values["debug"] and not values["unsafe"]:
        for address in reachable(values["bind"]):
            yield (
                f"{origins['bind']}: debug does not listen on {address}, which other machines may reach; "
                "use --bind 127.0.0.1:8000, or --unsafe if you know who can connect"
            )
    if values["protocol"] == "uwsgi":
        yield from _against_uwsgi(values, origins)
    base = cwd / (values["chdir"] or "")
    for name in ("chdir", "spool_dir"):
        directory = values[name]
        if directory is not None and not (base / directory).is_dir():
            yield f"{origins[name]}: {name} {directory!r} is not a directory"


def _malformed(values: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    """The line for an access log whose format cannot be read; without the log nobody reads it."""
    if values["accesslog"] is not None:
        try:
            compile_format(values["access_log_format"])
        except SettingsError as error:
            yield f"{origins['access_log_format']}: {error}"


def _against_uwsgi(values: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    """What cannot be together with the uwsgi protocol."""
    if values["proxy_protocol"] != "off":
        yield (
            f"{origins['proxy_protocol']}: proxy_protocol has no place in uwsgi: no PROXY header stands before a "
            f"packet, whose REMOTE_ADDR says the same; set it off, or protocol to http ({origins['protocol']})"
        )
    allowed = values["uwsgi_allow_ips"]
    if (
        values["ready_path"] is not None
        and "*" not in allowed
        and not any(ip_address(OWN_ADDRESS) in ip_network(network) for network in allowed)
    ):
        yield (
            f"{origins['uwsgi_allow_ips']}: uwsgi_allow_ips leaves {OWN_ADDRESS} out, from where a new worker is asked "
            f"for ready_path ({origins['ready_path']}); name that too"
        )

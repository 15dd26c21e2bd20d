"""Types, units and bounds."""

import math
import re
import tomllib

import pytest

from pronghorn.options.option import Unit
from pronghorn.options.table import TABLE, Kind
from pronghorn.settings.describe import toml_value
from pronghorn.settings.units import format_quantity, parse_quantity
from pronghorn.settings.values import convert

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.5", 0.5), ("30s", 30), ("1.5m", 90), ("500ms", 0.5), ("2h", 7200), ("1 d", 86400), ("3min", 180)],
)
def test_durations(text, seconds):
    assert parse_quantity(text, Unit.SECONDS) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [("65536", 65536), ("64k", 64 * KIB), ("64K", 64 * KIB), ("64KiB", 64 * KIB), ("64kB", 64000), ("16MiB", 16 * MIB),
     ("1GiB", GIB), ("1.5m", 3 * MIB // 2), ("7B", 7), ("1TB", 10**12)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_quantity(text, Unit.BYTES) == size


@pytest.mark.parametrize("text", ["", "s", "-1", "1x", "1 s s", "1e3", "0x10", "1,5", "\u0661s", "nan", "inf"])
def test_no_quantities(text):
    for unit in Unit:
        with pytest.raises(ValueError, match="write "):
            parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("workers", "4", 4),
        ("workers", 4, 4),
        ("workers", 4.0, 4),
        ("timeout", 30, 30.0),
        ("timeout", "1m", 60.0),
        ("body_memory", "16MiB", 16 * MIB),
        ("preload_app", "yes", True),
        ("preload_app", "Off", False),
        ("preload_app", True, True),
        ("bind", "127.0.0.1:1, 127.0.0.1:2,", ("127.0.0.1:1", "127.0.0.1:2")),
        ("bind", [":1", ":2"], (":1", ":2")),
        ("bind", (":1,:2", ":3"), (":1", ":2", ":3")),
        ("raw_env", "HOSTS=a,b", ("HOSTS=a,b",)),
        ("accesslog", None, None),
        ("accesslog", "-", "-"),
        ("worker_class", "gthread", "gthread"),
        ("worker_class", "gevent_pywsgi", "gevent"),
        ("worker_class", "gunicorn.workers.ggevent.GeventWorker", "gevent"),
        ("worker_class", "gunicorn.workers.gthread.ThreadWorker", "gthread"),
        ("worker_class", "shop.workers.Patched", "shop.workers.Patched"),
        ("worker_class", "shop.workers:Patched", "shop.workers:Patched"),
        ("loglevel", "INFO", "info"),
        ("forwarded_allow_ips", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        ("forwarded_allow_ips", "*", ("*",)),
    ],
)
def test_right_values(name, raw, value):
    converted = convert(TABLE[name], raw)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("workers", "x", "workers must be a whole number, not 'x'"),
        ("workers", "1_0", "workers must be a whole number, not '1_0'"),
        ("workers", 1.5, "workers must be a whole number, not 1.5"),
        ("workers", True, "workers must be a number, not True"),
        ("workers", None, "workers must be a number, not None"),
        ("workers", 0, "workers must be at least 1, not 0"),
        ("threads", "2000", "threads must be at most 1024, not '2000'"),
        ("timeout", "-1", "timeout must not be negative, as '-1' is: write 30, 30s, 1.5m, 500ms or 2h"),
        ("timeout", -1, "timeout must be at least 0 s, not -1"),
        ("timeout", math.nan, "timeout must be a number (such as 30 or '30s'), not nan"),
        ("header_timeout", "50ms", "header_timeout must be at least 0.1 s, not '50ms'"),
        ("body_memory", "2GiB", "body_memory must be at most 1 GiB, not '2GiB'"),
        ("limit_request_line", "1.0001k", "limit_request_line must be a whole number, not '1.0001k'"),
        ("preload_app", "maybe", "preload_app must be true or false, not 'maybe'"),
        ("preload_app", 1, "preload_app must be true or false, not 1"),
        ("loglevel", "loud", "loglevel must be one of debug, info, warning, error, critical, not 'loud'"),
        ("app", 3, "app must be a text, not 3"),
        ("app", "a\0b", r"app must be a text, not 'a\x00b'"),
        ("chdir", "/\udcff", r"chdir must be a text, not '/\udcff'"),
        ("timeout", "9" * 400, "timeout must be at most 366 d, not '" + "9" * 79 + "…"),
        ("send_buffer", "9" * 400, "send_buffer must be at most 1 GiB, not '" + "9" * 79 + "…"),
        ("bind", 8000, "bind must be a text or a list of texts, not 8000"),
        ("bind", [8000], "bind must be a text or a list of texts, not [8000]"),
        ("raw_env", "HOSTS", "raw_env 'HOSTS' is not an assignment: write NAME=value"),
        ("worker_class", "asgi",
         "worker_class 'asgi' is for ASGI applications, which this version does not serve"),
        ("worker_class", "uvicorn.workers.UvicornWorker",
         "worker_class 'uvicorn.workers.UvicornWorker' is for ASGI applications, which this version does not serve"),
        ("forwarded_allow_ips", "10.0.0.1/8",
         "forwarded_allow_ips 10.0.0.1/8 has host bits set: write an address, a network such as 10.0.0.0/8, or *"),
    ],
)  # fmt: skip
def test_wrong_values(name, raw, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        convert(TABLE[name], raw)
    assert str(caught.value) == message


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(ValueError, match="whole number") as caught:
        convert(TABLE["workers"], "9x" * 1000)
    assert len(str(caught.value)) < 200


def test_every_default_is_a_right_value():
    for entry in TABLE.values():
        assert convert(entry, entry.default) == entry.default


def test_every_default_survives_being_written_as_toml():
    for name, entry in TABLE.items():
        if entry.default is not None:
            written = tomllib.loads(f"{name} = {toml_value(entry.default)}")[name]
            assert convert(entry, written) == entry.default


def test_formatting():
    assert format_quantity(1.5, Unit.SECONDS) == "1.5 s"
    assert format_quantity(GIB, Unit.BYTES) == "1 GiB"
    assert format_quantity(1000, Unit.BYTES) == "1000 bytes"
    assert format_quantity(8, None) == "8"


def test_gunicorns_flags_are_unique_and_ours():
    flags = [flag for entry in TABLE.values() for flag in entry.flags]
    assert len(flags) == len(set(flags))
    assert all(entry.kind is Kind.LIST for entry in TABLE.values() if isinstance(entry.default, tuple))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gevents", "use threads, gthread, sync or gevent, or name a class as package.module.Class"),
        ("gunicorn.workers.base.Worker", "use threads, gthread, sync or gevent, or name a class"),
        ("shop.workers.1", "or name a class as package.module.Class"),
        ("gunicorn.workers.gtornado.TornadoWorker", "a WSGI application needs no Tornado"),
        ("eventlet", "gevent is, and needs `gevent.monkey` in the place of `eventlet.monkey_patch`"),
    ],
)
def test_worker_classes_that_there_are_not(name, why):
    with pytest.raises(ValueError, match=re.escape(why)) as error:
        convert(TABLE["worker_class"], name)
    assert f"{name!r} is not available" in str(error.value)

"""JSON of both logs (RFC 8259): what peers send and what applications say, beside Python's own codec and parser.

As a request an input is its method, path, target, the client's address, its id, Referer and User-Agent, with U+001F
between.
"""

import json
import os

from libc.stdint cimport uint64_t

from fuzz.targets.window cimport Window, close_window, next_number, open_window, seed_of, show
from pronghorn.engine.connection cimport Connection
from pronghorn.engine.exchange cimport Exchange
from pronghorn.observe.json_line cimport put_octets, put_request, put_value
from pronghorn.observe.line cimport LINE_MOST
from pronghorn.wire.buffer cimport Buffer, release

from pronghorn.observe.json_line import render

cdef enum:
    REST = 8                # quotes, and what is escaped last

# C0, DEL and C1: a terminal obeys them. One of them is a line end.
CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


def check(bytes data):
    """Raise AssertionError when `data` does not come back from a line, or the line is not what any reader takes."""
    assert read(octets_of(data)) == data.decode("utf-8", "backslashreplace")
    peers = data.decode("latin-1")
    assert read(value_of(peers)) == data.decode("utf-8", "backslashreplace")
    # Beyond what a line may have it is cut, and stays one string. That takes long, and is done for some inputs.
    if data and seed_of(data) % 16 == 0:
        cut = value_of(peers * (LINE_MOST // len(data) + 1))
        assert len(cut) <= LINE_MOST + REST, f"a string of {len(cut)} octets"
        read(cut)
    # An application's texts may hold anything that Python calls a character.
    own = data.decode("utf-8", "surrogateescape") + data.decode("utf-32-le", "ignore")
    fields = {"text": own, "peers": peers, "number": len(data), "none": None}
    spelt = own.encode("utf-8", "backslashreplace").decode()
    assert read(value_of(own)) == read_as_value(own)
    assert read(render(fields).encode()) == fields | {"text": spelt}, f"{fields} became {render(fields)}"
    judge_request((peers.split("\x1f") + [""] * 7)[:7], seed_of(data))


# The line of a request, beside a model of it.
cdef int judge_request(list parts, uint64_t state) except -1:
    cdef Exchange exchange = Exchange.__new__(Exchange)
    cdef uint64_t now = 10**15 + next_number(&state, 10**12)
    cdef uint64_t called, queued
    method, path, target, address, name, referer, agent = parts
    exchange.connection = Connection.__new__(Connection)
    exchange.connection.address = address
    exchange.connection.serial = next_number(&state, 1 << 32)
    exchange.number = next_number(&state, 1 << 16)
    if method:              # what was refused may have none
        exchange.method, exchange.path, exchange.target = method, path, target
        exchange.environ = {"HTTP_REFERER": referer, "HTTP_USER_AGENT": agent}
    exchange.name = name or None
    exchange.http10 = next_number(&state, 2)
    exchange.status = f"{200 + next_number(&state, 400)} Reason"
    exchange.sent = <int>next_number(&state, 1000) - 10
    exchange.began = 1.75e9 + next_number(&state, 1000) / 1000
    exchange.began_ns = now - next_number(&state, 10**12)
    exchange.called_ns = called = next_number(&state, 2) * (now - next_number(&state, 10**9))
    exchange.queued_ns = queued = next_number(&state, 2) * (now - next_number(&state, 10**9))
    ours = f"{os.getpid():x}-{exchange.connection.serial:x}-{exchange.number:x}"
    expected = {
        "time": f"then.{int(exchange.began % 1 * 1000):03}Z",
        "request_id": read_as_value(name) or ours,
        "client": read_as_value(address) or None,
        "method": read_as_value(method) if method else None,
        "path": read_as_value(path) if method else None,
        "query": read_as_value(target.partition("?")[2]) if method and "?" in target else None,
        "protocol": f"HTTP/1.{0 if exchange.http10 else 1}" if method else None,
        "status": int(exchange.status[:3]),
        "bytes": max(exchange.sent, 0),
        "duration_ms": milliseconds(now - exchange.began_ns),
        "queue_ms": milliseconds((called or now) - queued if 0 < queued < (called or now) else 0),
        "worker": os.getpid(),
        "thread": 0,
        "referer": read_as_value(referer) if method else None,
        "user_agent": read_as_value(agent) if method else None,
    }
    line = request_of(exchange, now)
    assert read(line) == expected, f"{parts} became {line}, and not {expected}"
    return 0


def milliseconds(duration):
    """Of nanoseconds, as it is written."""
    return f"{duration // 10**6}.{duration // 1000 % 1000:03}"


def read_as_value(text):
    """What a text says that may be a peer's octets, one in each character, as PEP 3333 has it."""
    try:
        return text.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()


def read(bytes line):
    """What a strict reader makes of it, which sees no control either."""
    text = line.decode()
    assert not CONTROLS.intersection(text), f"a control in {text!r}"
    return json.loads(text, parse_float=str)


cdef bytes octets_of(bytes data):
    cdef Window window
    cdef Buffer line
    line.data = NULL
    line.size = line.capacity = 0
    open_window(&window, data)
    try:
        show(&window, window.size)
        put_octets(&line, window.data, window.size)
        return line.data[:line.size]
    finally:
        close_window(&window)
        release(&line)


cdef bytes value_of(str text):
    cdef Buffer line
    line.data = NULL
    line.size = line.capacity = 0
    try:
        put_value(&line, text)
        return line.data[:line.size]
    finally:
        release(&line)


cdef bytes request_of(Exchange exchange, uint64_t now):
    cdef Buffer line
    line.data = NULL
    line.size = line.capacity = 0
    try:
        put_request(&line, exchange, now, b"then")
        return line.data[:line.size]
    finally:
        release(&line)

"""JSON of both logs (RFC 8259): what peers send and what applications say, beside Python's own codec and parser."""

import json

from fuzz.targets.window cimport Window, close_window, open_window, seed_of, show
from pronghorn.observe.json_line cimport put_octets, put_value
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
    return json.loads(text)


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

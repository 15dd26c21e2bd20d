"""Section F asked of other servers: what leaves them when the application answers wrongly, or in an odd way.

Each is judged by the octets that come, with a next request behind the first: whether the connection is still in order
is seen by what stands in its answer's place.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.protocol.compare.subjects import Running
from tests.support.raw import Client, wait_for
from tests.support.ways import BEHIND

PATIENCE = 3.0
"""Seconds a server has for its answers."""


@dataclass(frozen=True)
class Reply:
    """What came: everything, the first head in lower case, what stands behind it, and whether the connection ended."""

    data: bytes
    ended: bool

    @property
    def head(self) -> bytes:
        """Of the first answer, in lower case."""
        return self.data.partition(b"\r\n\r\n")[0].lower()

    @property
    def rest(self) -> bytes:
        """What stands behind that head."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def is_error(self) -> bool:
        """The answer is a 500, or there is none: the connection ends."""
        return re.match(rb"http/1\.[01] 500 ", self.head) is not None or (self.ended and not self.data)

    def says(self, name: bytes) -> int:
        """How often the first head has this field."""
        return self.head.count(b"\r\n" + name + b":")

    def is_body(self, body: bytes) -> bool:
        """Whether this is the whole body, in whatever framing, with the next answer or the end behind it."""
        if self.says(b"transfer-encoding"):
            chunks = re.match(rb"((?:[1-9a-f][0-9a-f]*\r\n[a-z ]+\r\n)*)0\r\n\r\n", self.rest)
            if chunks is None or self.says(b"content-length"):
                return False
            pieces = re.findall(rb"[1-9a-f][0-9a-f]*\r\n([a-z ]+)\r\n", chunks[1])
            return b"".join(pieces) == body and is_next(self.rest[chunks.end() :])
        if self.says(b"content-length"):
            return self.rest.startswith(body) and is_next(self.rest[len(body) :])
        return self.ended and self.rest == body


def is_next(octets: bytes) -> bool:
    """Whether the connection goes on with an answer, or not at all."""
    return not octets or octets.startswith(b"HTTP/1.")


def nothing_injected(reply: Reply) -> bool:
    """No octet that ends a line, or is taken for one, has left with what stood behind it."""
    return bool(reply.data or reply.ended) and re.search(rb"(?i)[\r\n\0]x-injected", reply.data) is None


def bodiless(reply: Reply) -> bool:
    """Nothing stands behind the head, and it speaks of nothing that would. A 500 does as well."""
    if reply.is_error:
        return True
    empty = reply.rest.removeprefix(b"0\r\n\r\n") if b" 205 " in reply.head.partition(b"\r\n")[0] else reply.rest
    wrong = reply.says(b"transfer-encoding") and empty is reply.rest
    of_204 = b" 204 " in reply.head.partition(b"\r\n")[0] and reply.says(b"content-length")
    return bool(reply.head) and is_next(empty) and not wrong and not of_204


def of_head(reply: Reply) -> bool:
    """An answer to HEAD: what would frame a body may be said, and there is none."""
    return reply.head.startswith(b"http/1.1 200") and is_next(reply.rest)


def cut(reply: Reply) -> bool:
    """The client can tell that this is not all: the connection ends, without a last chunk and without a second head."""
    framed = reply.says(b"content-length") or reply.says(b"transfer-encoding")
    return reply.is_error or bool(
        reply.ended and framed and b"HTTP/1." not in reply.rest and not reply.rest.endswith(b"0\r\n\r\n")
    )


def came(reply: Reply) -> bool:
    """Any answer."""
    return bool(reply.data)


def small(reply: Reply) -> bool:
    """Not an octet more than the length."""
    short = reply.ended and b"12345".startswith(reply.rest)
    return reply.is_error or short or (reply.rest.startswith(b"12345") and is_next(reply.rest[5:]))


@dataclass(frozen=True)
class Answered:
    """A request for the answer of a path, and what may come. `closes`: the body is closed once besides."""

    rule: int
    path: str
    judge: Callable[[Reply], bool]
    start: bytes = b"GET %b HTTP/1.1"
    closes: bool = False

    @property
    def id(self) -> str:
        """The name that is printed."""
        return f"rule_{self.rule}_{self.path[1:]}" + "_closed" * self.closes


HEAD, OLD = b"HEAD %b HTTP/1.1", b"GET %b HTTP/1.0"
ANSWERED = [
    Answered(65, "/length", of_head, HEAD),
    Answered(65, "/stream", of_head, HEAD),
    Answered(66, "/204", bodiless),
    Answered(66, "/204-with-length", bodiless),
    Answered(66, "/205", bodiless),
    Answered(66, "/304", bodiless),
    Answered(67, "/length-too-small", small),
    Answered(67, "/length-too-small-in-pieces", small),
    Answered(67, "/length-too-large", cut),
    Answered(68, "/stream", lambda reply: reply.is_body(b"hello world")),
    Answered(68, "/stream", lambda reply: not reply.says(b"transfer-encoding") and reply.is_body(b"hello world"), OLD),
    Answered(69, "/error", lambda reply: reply.is_error),
    Answered(69, "/error-behind-head", cut),
    Answered(69, "/error-behind-head-with-length", cut),
    Answered(70, "/line-end-in-name", nothing_injected),
    Answered(70, "/line-end-in-value", nothing_injected),
    Answered(70, "/lf-in-value", nothing_injected),
    Answered(70, "/cr-in-value", nothing_injected),
    Answered(70, "/nul-in-value", nothing_injected),
    Answered(71, "/codings", lambda reply: reply.is_error or reply.is_body(b"hello")),
    Answered(72, "/date", lambda reply: reply.says(b"date") == 1),
    Answered(73, "/stream", came, HEAD, closes=True),
    Answered(73, "/error-behind-head", came, closes=True),
]
"""All of them. RFC 9110 and 9112 and PEP 3333 ask for each (MUST and SHOULD)."""


def answers_so(running: Running, asked: Answered) -> bool:
    """Whether what a server sends is what it may send."""
    running.forget()
    reply = converse(running.url, asked.start % asked.path.encode() + b"\r\nHost: test\r\n\r\n" + BEHIND)
    return asked.judge(reply) and (not asked.closes or closed(running, asked.path) == 1)


def closed(running: Running, path: str) -> int:
    """How often the body of this path has been closed, once it has."""

    def times() -> int:
        lines = running.record.read_text().splitlines()
        return sum(json.loads(line).get("closed") == path for line in lines)

    with suppress(AssertionError):
        return wait_for(times, "the body to be closed", PATIENCE)
    return 0


def converse(url: str, data: bytes) -> Reply:
    """Sends it and reads until the next answer, or the end; a reset is one."""
    received, ended = b"", False
    with Client(url) as client, suppress(TimeoutError):
        client.socket.settimeout(PATIENCE)
        client.send(data)
        while not ended and not (received.count(b"HTTP/1.") >= 2 and received.endswith(b"ok")):
            try:
                octets = client.socket.recv(65536)
            except ConnectionResetError:
                octets = b""
            ended, received = not octets, received + octets
    return Reply(received, ended)

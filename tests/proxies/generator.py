"""Requests, valid ones and spoiled ones, from a seed; each has an id in its target that no other has."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

METHODS = ["GET", "GET", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"]
NAMES = ["Accept: */*", "User-Agent: test", "Cookie: a=b", "X-A: \tb ", "Accept-Encoding: gzip", "Pragma: no-cache",
         "X-Empty:", 'If-None-Match: "x"', "X-8-bit: caf\xe9", "Via: 1.1 a"]  # fmt: skip


@dataclass
class Request:
    """One request in parts, so that each can be spoiled. `extended`: its chunks have extensions, or trailers follow."""

    id: str
    method: str = "GET"
    target: str = "/"
    version: str = "HTTP/1.1"
    lines: list[str] = field(default_factory=list)
    body: bytes = b""
    coded: bytes = b""
    extended: bool = False
    end: str = "\r\n"

    @property
    def data(self) -> bytes:
        """Its octets."""
        head = self.end.join([f"{self.method} {self.target} {self.version}", *self.lines, "", ""])
        return head.encode("latin-1") + self.coded


@dataclass(frozen=True)
class Case:
    """What is sent on one connection. `spoiled` names what was done to the last request; empty: all are valid."""

    requests: tuple[Request, ...]
    data: bytes
    spoiled: tuple[str, ...]


def generate(seed: int, count: int) -> list[Case]:
    """So many connections' requests; the same for the same seed."""
    source = random.Random(seed)
    return [make_case(source, number) for number in range(count)]


def make_case(source: random.Random, number: int) -> Case:
    """Up to three requests in a row, of which the last is spoiled in two of three cases."""
    requests = [
        valid(source, f"c{number}-{index}-{source.randbytes(4).hex()}-") for index in range(source.choice([1, 1, 2, 3]))
    ]
    spoiled: list[str] = []
    if source.random() < 2 / 3:
        for name in source.sample(sorted(SPOIL), source.choice([1, 1, 2])):
            SPOIL[name](source, requests[-1])
            spoiled.append(name)
    data = b"".join(request.data for request in requests)
    if spoiled and source.random() < 0.2:
        data = damage(source, data, len(data) - len(requests[-1].data))
        spoiled.append("damaged")
    return Case(tuple(requests), data, tuple(spoiled))


def valid(source: random.Random, name: str) -> Request:
    """A request that every server and proxy must pass on."""
    request = Request(name, source.choice(METHODS))
    request.target = f"/{name}" + source.choice(["", "?q=1", "/a%20b", "//x", "/%7e/..", "/;v=1?a=b&c"])
    request.lines = ["Host: test", *source.sample(NAMES, source.randrange(4))]
    source.shuffle(request.lines)
    if request.method in {"POST", "PUT", "PATCH"}:
        request.body = source.choice([b"", b"x" * source.randrange(1, 3000), hidden(name)])
        if source.random() < 0.5:
            set_length(request)
        else:
            set_chunks(source, request)
    return request


def hidden(name: str) -> bytes:
    """A body that is a request, if anybody takes it for one."""
    return f"GET /{name}hidden HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def set_length(request: Request) -> None:
    """Frames the body by its length."""
    request.lines.append(f"Content-Length: {len(request.body)}")
    request.coded = request.body


def set_chunks(source: random.Random, request: Request) -> None:
    """Frames the body in chunks of random sizes and looks."""
    request.lines.append("Transfer-Encoding: chunked")
    coded, at = b"", 0
    while at < len(request.body):
        piece = request.body[at : at + source.randrange(1, 900)]
        at += len(piece)
        size = f"{len(piece):{source.choice(['x', 'X', '04x'])}}"
        extension = source.choice([b"", b"", b";a=b", b';a="b c"'])
        coded += size.encode() + extension + b"\r\n" + piece + b"\r\n"
    trailer = source.choice([b"", b"", b"X-Trailer: a\r\n"])
    request.coded = coded + b"0\r\n" + trailer + b"\r\n"
    request.extended = b";" in coded or bool(trailer)


# --- What is done to a request. Each takes the source and the request. ---


def with_body(source: random.Random, request: Request, *, chunked: bool) -> None:
    """A POST with a body that looks like a request, in this framing."""
    request.method = "POST"
    request.body = hidden(request.id)
    request.lines = [line for line in request.lines if not line.startswith(("Content-Length", "Transfer-Encoding"))]
    if chunked:
        set_chunks(source, request)
    else:
        set_length(request)


def replace_framing(source: random.Random, request: Request, name: str, values: list[str]) -> None:
    """Puts another value where the framing is said."""
    with_body(source, request, chunked=name == "Transfer-Encoding")
    request.lines[-1] = f"{name}: {source.choice(values)}"


def odd_length(source: random.Random, request: Request) -> None:
    size = len(hidden(request.id))
    values = [f"+{size}", f"-{size}", f"0{size}", f"{size}, {size}", f"{size} ", f"0x{size:x}", f"{size}_0", "", "x",
              f"{size};a", "9" * 20, f" \t{size}"]  # fmt: skip
    replace_framing(source, request, "Content-Length", values)


def odd_coding(source: random.Random, request: Request) -> None:
    values = ["Chunked", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "xchunked",
              "chunked;a=b", '"chunked"', ",chunked", "chunked,", "\x0bchunked", "chunked\x0b",
              "", "chu nked", "\tchunked"]  # fmt: skip
    replace_framing(source, request, "Transfer-Encoding", values)


def two_framings(source: random.Random, request: Request) -> None:
    with_body(source, request, chunked=source.random() < 0.5)
    other = source.choice(["Content-Length: 3", "Content-Length: 0", "Transfer-Encoding: chunked",
                           "Transfer-Encoding: identity", f"Content-Length: {len(request.body)}"])  # fmt: skip
    request.lines.insert(source.randrange(len(request.lines) + 1), other)


def odd_name(source: random.Random, request: Request) -> None:
    with_body(source, request, chunked=source.random() < 0.5)
    name, _, value = request.lines[-1].partition(":")
    odd = source.choice([f"{name} ", f"{name}\t", f" {name}", f"{name}\x0b", name.replace("-", "_"), f"{name}\r",
                         f"X: y\n{name}", f"X: y\r{name}", f"\x00{name}", f"{name}\xa0", f"{name}\r\n "])  # fmt: skip
    request.lines[-1] = f"{odd}:{value}"


def odd_chunks(source: random.Random, request: Request) -> None:
    with_body(source, request, chunked=True)
    piece = request.body
    size = f"{len(piece):x}".encode()
    good = size + b"\r\n" + piece + b"\r\n0\r\n\r\n"
    request.coded = source.choice([
        good.replace(b"\r\n", b"\n"), size + b"\n" + good[len(size) + 2 :], size + b"\r" + good[len(size) + 2 :],
        b"0x" + good, b"+" + good, b" " + good, size + b" " + good[len(size) :], size + b";" + good[len(size) :],
        size + b";\n" + good[len(size) :], size + b';a="\n"' + good[len(size) :], b"0" * 20 + good,
        b"1" + b"0" * 16 + good, size + b"\r\n" + piece + b"XX0\r\n\r\n", size + b"\r\n" + piece + b"0\r\n\r\n",
        size + b"\r\n" + piece + b"\n0\r\n\r\n", size + b"\r\n" + piece + b"\r\n0\n\n", good[:-2],
        good[:-2] + b"X : y\r\n\r\n", good[:-2] + b"X: y\n\r\n", good[:-2] + b" X: y\r\n\r\n",
        good[:-2] + b"Content-Length: 5\r\n\r\n",
    ])  # fmt: skip


def odd_line_end(source: random.Random, request: Request) -> None:
    if source.random() < 0.5:
        request.end = source.choice(["\n", "\r\r\n"])
    else:
        at = source.randrange(len(request.lines))
        request.lines[at] += source.choice(["\n", "\r", "\r\n", "\r\n \r\n"]) + "X-Behind: a"


def folded(source: random.Random, request: Request) -> None:
    request.lines.insert(source.randrange(len(request.lines) + 1), source.choice([" folded", "\tfolded", " "]))


def twice(source: random.Random, request: Request) -> None:
    if not request.coded:
        with_body(source, request, chunked=source.random() < 0.5)
    request.lines.insert(source.randrange(len(request.lines) + 1), source.choice(request.lines))


def odd_method(source: random.Random, request: Request) -> None:
    request.method = source.choice(
        ["get", "G=T", "", "GET ", "GE\tT", "M" * 70, "PURGE", "TRACE", "CONNECT", "PRI", "\x16"]
    )


def odd_target(source: random.Random, request: Request) -> None:
    request.target = source.choice([
        f"http://test/{request.id}", f"http://other/{request.id}", f"https://test/{request.id}", request.id, "*",
        f"/{request.id}#f", f"/{request.id}%00", f"/{request.id} x", f"/{request.id}\t", f"/{request.id}\xe9",
        f"//{request.id}", f"/../{request.id}", f"http://u@test/{request.id}", f"/{request.id}\x01", f"?{request.id}",
        f"/{request.id}" + "a" * 9000,
    ])  # fmt: skip


def odd_version(source: random.Random, request: Request) -> None:
    request.version = source.choice(["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1",
                                     "HTTP/1.10", "HTTP/01.1", "HTTP/1", "", "ICY/1.1"])  # fmt: skip


def odd_host(source: random.Random, request: Request) -> None:
    hosts = [line for line in request.lines if line.startswith("Host")]
    for line in hosts:
        request.lines.remove(line)
    request.lines[:0] = source.choice([[], ["Host: a", "Host: b"], ["Host: test", "Host: test"], ["Host:"],
                                       ["Host: a,b"], ["Host: u@a"], ["Host: a b"], ["Host : test"]])  # fmt: skip


def asks(source: random.Random, request: Request) -> None:
    request.lines.append(source.choice(["Expect: 100-continue", "Expect: x", "Connection: close", "Upgrade: websocket",
                                        "Connection: Content-Length", "Connection: Transfer-Encoding", "TE: trailers",
                                        "Connection: upgrade", "Connection: Host", "Keep-Alive: 1"]))  # fmt: skip


def many(source: random.Random, request: Request) -> None:
    request.lines += source.choice([["X: y"] * 150, ["X: " + "y" * 9000], ["X: " + "y" * 6000] * 12, ["y" * 9000]])


SPOIL: dict[str, Callable[[random.Random, Request], None]] = {
    name.__name__.replace("_", " "): name
    for name in (odd_length, odd_coding, two_framings, odd_name, odd_chunks, odd_line_end, folded, twice, odd_method,
                 odd_target, odd_version, odd_host, asks, many)
}  # fmt: skip


def damage(source: random.Random, data: bytes, start: int) -> bytes:
    """One octet behind `start` changed, left out or put in."""
    at = source.randrange(start, len(data))
    octet = bytes([source.choice(b"\0\t\n\r :,;\x0b\x7f\x80\xff0aA")])
    return source.choice(
        [data[:at] + octet + data[at + 1 :], data[:at] + data[at + 1 :], data[:at] + octet + data[at:]]
    )

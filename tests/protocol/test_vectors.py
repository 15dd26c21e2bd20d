"""Every vector in every way: whole, octet by octet, cut in two at every place, each also behind another request.

All ways of a vector are sent at once, on a connection each, in rounds: the next pieces leave when the server has read
the last ones, so that each piece is a read of its own and every cut is one.
"""

import random
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate

import pytest

from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.testing import serve_engine
from tests.protocol.vectors import LIMIT, REFUSED, SERVED, Refused, Served
from tests.support.apps import Recording
from tests.support.raw import DEADLINE, Client
from tests.support.ways import BEHIND, NEIGHBOUR, SEED, cut_at, cuts, octets, random_places

SHORT = 300
"""Octets: up to this size a vector is cut in two everywhere."""

COUNTED, AROUND = 4200, 100
"""Octets: up to the first a vector is sent octet by octet, each when the one before has been read. Of a longer one so
many come like this before and behind each end and each limit; and once more it comes octet by octet without waiting."""

LIMITS = (4096, 8190, 16_384, 65_536)
"""Where a longer vector reaches what a line of extensions, a line, all extensions and the header section may have."""


@dataclass(frozen=True)
class Way:
    """How a vector is sent. `first` are the targets before it; `behind` says that another request follows at once."""

    pieces: list[bytes]
    first: tuple[str, ...] = ()
    behind: bool = True
    in_rounds: bool = True

    def waits_for_body(self, vector: Served) -> bool:
        """Whether the server has read the vector's head before any of its content was there."""
        start = len(NEIGHBOUR) * len(self.first)
        return any(edge - start in vector.head_ends for edge in accumulate(map(len, self.pieces)))


class Counted:
    """A server, and how much of what was sent to it it has read."""

    def __init__(self) -> None:
        self.app = Recording()
        self.row = Scoreboard(1).slot(0)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def send(self, clients: list[Client], ways: list[Way]) -> None:
        """Sends each way on its connection, in rounds."""
        expected = self.row.received
        pairs = list(zip(clients, ways, strict=True))
        for client, way in pairs:
            if not way.in_rounds:
                for piece in way.pieces:
                    client.send(piece)
                expected += sum(map(len, way.pieces))
        rounds = [(client, way.pieces) for client, way in pairs if way.in_rounds]
        for number in range(max(len(pieces) for _, pieces in rounds)):
            for client, pieces in rounds:
                if number < len(pieces):
                    client.send(pieces[number])
                    expected += len(pieces[number])
            self.wait_until_read(expected)

    def wait_until_read(self, octets: int) -> None:
        """Waits until the server has read so many octets in all; a round is too short for `wait_for`'s pauses."""
        deadline = time.monotonic() + DEADLINE
        while self.row.received < octets:
            time.sleep(0)
            assert time.monotonic() < deadline, f"{self.row.received} of {octets} octets were read"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[bool, Counted]]:
    """One to which this machine is a client like others, and under True one that trusts it."""
    servers = {trusted: Counted() for trusted in (False, True)}
    with ExitStack() as stack:
        for trusted, server in servers.items():
            trust = {"forwarded_allow_ips": ("127.0.0.1",) if trusted else ()}
            stack.enter_context(
                serve_engine(server.app, [server.listener], slot=server.row, limit_request_body=LIMIT, **trust)
            )
        yield servers


def ways_of(data: bytes) -> list[Way]:
    """Every way in which a vector is sent."""
    places = octets(data, COUNTED, LIMITS, AROUND)
    single = cut_at(data, places)
    ways = [
        Way([data], behind=False),  # nothing that comes later helps to see the fault
        Way(single, behind=False),
        Way([data + BEHIND]),
        *(Way(cut_at(data + BEHIND, [cut])) for cut in cuts(data, SHORT)),
    ]
    if len(data) > COUNTED:
        ways.append(Way(cut_at(data, range(1, len(data))), behind=False, in_rounds=False))
    seed = f"{SEED} {data[:64]!r}"
    print(f"random pieces from seed {seed!r}")
    pair = NEIGHBOUR + data
    random_cuts = random_places(len(pair), random.Random(seed))
    second = [
        [pair + BEHIND],
        [NEIGHBOUR, data + BEHIND],
        [pair[:-1], pair[-1:] + BEHIND],
        cut_at(pair + BEHIND, random_cuts),
        [NEIGHBOUR + single[0], *single[1:-1], single[-1] + BEHIND],
    ]
    return ways + [Way(pieces, ("/neighbour",)) for pieces in second]


def ports(clients: Iterable[Client]) -> list[str]:
    return [str(client.socket.getsockname()[1]) for client in clients]


@contextmanager
def sent(server: Counted, ways: list[Way]) -> Iterator[list[Client]]:
    """A connection for each way, on which it has been sent."""
    server.app.calls.clear()
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.url)) for _ in ways]
        server.send(clients, ways)
        yield clients


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector.id)
def test_refused(servers: dict[bool, Counted], vector: Refused) -> None:
    server, ways = servers[vector.trusted], ways_of(vector.data)
    with sent(server, ways) as clients:
        for client, way in zip(clients, ways, strict=True):
            assert [client.read_response().body.decode() for _ in way.first] == list(way.first)
            response = client.read_response()
            assert (response.status, response.headers["connection"]) == (vector.status, "close"), way
            assert "date" in response.headers
            assert client.is_closed(), way
    assert server.app.targets == [target for way in ways for target in way.first]


@pytest.mark.parametrize("vector", SERVED, ids=lambda vector: vector.id)
def test_served(servers: dict[bool, Counted], vector: Served) -> None:
    server, ways = servers[vector.trusted], ways_of(vector.data)
    with sent(server, ways) as clients:
        for client, way in zip(clients, ways, strict=True):
            require_served(client, vector, way)
        of_port = {port: [call for call in server.app.calls if call.environ["REMOTE_PORT"] == port]
                   for port in ports(clients)}  # fmt: skip
    expected = [vector.target] * (vector.status == 200)
    for (_, calls), way in zip(of_port.items(), ways, strict=True):
        assert [call.target for call in calls] == [*way.first, *expected, *["/behind"] * vector.lasts], way
        for seen in calls[len(way.first) :][: len(expected)]:
            assert (seen.method, seen.body) == (vector.method, vector.body), way
            assert {name: seen.environ.get(name) for name in vector.environ} == vector.environ, way


def require_served(client: Client, vector: Served, way: Way) -> None:
    """The answers of one connection are those that they should be."""
    assert [client.read_response().body.decode() for _ in way.first] == list(way.first)
    if vector.continues and way.waits_for_body(vector):
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n", way
    response = client.read_response(head_only=vector.method == "HEAD")
    has_body = vector.status == 200 and vector.method != "HEAD"
    assert (response.status, response.body) == (vector.status, vector.target.encode() * has_body), way
    assert response.headers.get("connection") == said_of_connection(vector), way
    if not vector.lasts:
        assert client.is_closed(), way
        return
    if not way.behind:
        client.send(BEHIND)
    assert client.read_response().body == b"/behind", way


def said_of_connection(vector: Served) -> str | None:
    """The `Connection` field of its answer."""
    if vector.lasts:
        return "keep-alive" if vector.persists else None
    return "close"


def test_the_servers_go_on(servers: dict[bool, Counted]) -> None:
    for server in servers.values():
        server.app.calls.clear()
        with Client(server.url) as client:
            assert client.get("/still").body == b"/still"
        assert server.app.targets == ["/still"]

"""Every vector in every way: whole, octet by octet, cut in two at every place, and behind another request.

All ways of a vector are sent at once, on a connection each, in rounds: the next pieces leave when the server has read
the last ones, so that each piece is a read of its own and every cut is one.
"""

import random
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import pytest

from pronghorn.engine.scoreboard import Scoreboard
from pronghorn.testing import serve_engine
from tests.protocol.vectors import LIMIT, REFUSED, SERVED, Refused, Served
from tests.support.apps import Recording
from tests.support.raw import DEADLINE, Client
from tests.support.ways import BEHIND, NEIGHBOUR, SEED, cut_at, cuts, random_places

SHORT = 300
"""Octets: up to this size a vector is cut everywhere, and sent octet by octet."""


class Counted:
    """A server, and how much of what was sent to it it has read."""

    def __init__(self) -> None:
        self.app = Recording()
        self.row = Scoreboard(1).slot(0)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def send(self, clients: list[Client], ways: list[list[bytes]]) -> None:
        """Sends each way on its connection, in rounds."""
        expected = self.row.received
        for number in range(max(len(pieces) for pieces in ways)):
            for client, pieces in zip(clients, ways, strict=True):
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
def served() -> Iterator[Counted]:
    server = Counted()
    with serve_engine(server.app, [server.listener], slot=server.row, limit_request_body=LIMIT):
        yield server


def alone(data: bytes) -> list[list[bytes]]:
    """The ways in which a request comes first on its connection."""
    octets = 1 if len(data) <= SHORT else 499
    places = [[], range(octets, len(data), octets), *([cut] for cut in cuts(data, SHORT))]
    return [cut_at(data + BEHIND, where) for where in places]


def behind_another(data: bytes) -> list[list[bytes]]:
    """The ways in which it comes behind another."""
    seed = f"{SEED} {data[:64]!r}"
    print(f"random pieces from seed {seed!r}")
    pair = NEIGHBOUR + data
    places = random_places(len(pair), random.Random(seed))
    return [[pair + BEHIND], [NEIGHBOUR, data + BEHIND], [pair[:-1], pair[-1:] + BEHIND], cut_at(pair + BEHIND, places)]


def ports(clients: Iterable[Client]) -> list[str]:
    return [str(client.socket.getsockname()[1]) for client in clients]


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector.id)
def test_refused(served: Counted, vector: Refused) -> None:
    served.app.calls.clear()
    first, second = alone(vector.data), behind_another(vector.data)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(served.url)) for _ in first + second]
        served.send(clients, first + second)
        for client, way in zip(clients, first + second, strict=True):
            if way in second:
                assert client.read_response().body == b"/neighbour"
            response = client.read_response()
            assert (response.status, response.headers["connection"]) == (vector.status, "close"), way
            assert "date" in response.headers
            assert client.is_closed(), way
    assert served.app.targets == ["/neighbour"] * len(second)


@pytest.mark.parametrize("vector", SERVED, ids=lambda vector: vector.id)
def test_served(served: Counted, vector: Served) -> None:
    served.app.calls.clear()
    first, second = alone(vector.data), behind_another(vector.data)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(served.url)) for _ in first + second]
        served.send(clients, first + second)
        for client, way in zip(clients, first + second, strict=True):
            if way in second:
                assert client.read_response().body == b"/neighbour"
            response = client.read_response()
            assert (response.status, response.body) == (200, vector.target.encode()), way
            assert response.closes is not vector.lasts
            if vector.lasts:
                assert client.read_response().body == b"/behind", way
            else:
                assert client.is_closed(), way
        of_port = {port: [call for call in served.app.calls if call.environ["REMOTE_PORT"] == port]
                   for port in ports(clients)}  # fmt: skip
    behind = ["/behind"] if vector.lasts else []
    for (_, calls), way in zip(of_port.items(), first + second, strict=True):
        before = ["/neighbour"] if way in second else []
        assert [call.target for call in calls] == [*before, vector.target, *behind], way
        seen = calls[len(before)]
        assert (seen.method, seen.body) == (vector.method, vector.body), way
        assert {name: seen.environ.get(name) for name in vector.environ} == vector.environ, way


def test_the_server_goes_on(served: Counted) -> None:
    served.app.calls.clear()
    with Client(served.url) as client:
        assert client.get("/still").body == b"/still"
    assert served.app.targets == ["/still"]

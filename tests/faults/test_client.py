"""The load finds what it is there to find: servers that are wrong on purpose."""

import random
import socket
import struct
import threading

import pytest

from tests.faults.client import Ask, Book, Fate, Plan, Visitor
from tests.faults.page import page
from tests.faults.scene import most_at_once

ASK = Ask("token", "GET", "/page/token/5", 5)
BODY = page("token", "1", "77", 5, 0)
RIGHT = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
LAST = RIGHT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
OTHERS = page("nekot", "1", "77", 5, 0)


class Script(threading.Thread):
    """A server that gives each request of each connection the octets of the script; None is a reset, b"" an end."""

    def __init__(self, *connections):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = connections
        self.port = self._listener.getsockname()[1]

    def run(self):
        for answers in self._connections:
            client, _ = self._listener.accept()
            with client:
                for answer in answers:
                    client.recv(1 << 16)
                    if answer is None:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        client.sendall(answer)
        self._listener.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.join(10)


def visit(*connections, times=1, patience=5.0):
    """What a visitor that keeps its connection says of each request, and the tally."""
    book = Book()
    with Script(*connections) as server:
        visitor = Visitor(Plan(port=server.port, keeping=1, patience=patience), book, 0, threading.Event())
        fates = [visitor._visit(ASK) for _ in range(times)]
        visitor._part()
    return fates, book.close()


@pytest.mark.parametrize("answer", [RIGHT, LAST, CHUNKED])
def test_a_right_answer(answer):
    fates, tally = visit([answer])
    assert fates == [Fate.CORRECT]
    assert (tally.sent, tally.correct, tally.failed.total()) == (1, 1, 0)
    assert tally.versions == {"1": 1}
    assert list(tally.pids) == ["77"]


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (None, Fate.RESET),
        (b"", Fate.RESET),
        (RIGHT[:9], Fate.CUT),
        (RIGHT[:-1], Fate.CUT),
        (CHUNKED[:-5], Fate.CUT),
        (RIGHT.replace(b"200 OK", b"503 No"), Fate.WRONG),
        (RIGHT.replace(BODY, OTHERS), Fate.WRONG),
        (RIGHT.replace(b"1 token", b"2 token"), Fate.WRONG),
        (b"mumble\r\n\r\n", Fate.WRONG),
    ],
)
def test_a_failure_on_a_new_connection(answer, fate):
    fates, tally = visit([answer])
    assert fates == [fate]
    assert dict(tally.failed) == dict(tally.failed_after_retry) == {fate: 1}
    assert (tally.sent, tally.correct) == (1, 0)


def test_no_answer_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = Plan(port=listener.getsockname()[1], keeping=1, patience=0.2)
        assert Visitor(plan, Book(), 0, threading.Event())._visit(ASK) is Fate.TIMEOUT


def test_nobody_there_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = Plan(port=listener.getsockname()[1])
    assert Visitor(plan, Book(), 0, threading.Event())._visit(ASK) is Fate.REFUSED


def test_a_reused_connection_that_ends_before_the_answer_is_asked_again():
    fates, tally = visit([RIGHT, None], [RIGHT], times=2)
    assert fates == [Fate.CORRECT, Fate.CORRECT]
    assert (tally.sent, tally.correct) == (2, 2)
    assert (tally.failed.total(), tally.failed_after_retry.total()) == (1, 0)


def test_it_is_asked_again_once_only():
    fates, tally = visit([RIGHT, None], [None], times=2)
    assert fates == [Fate.CORRECT, Fate.RESET]
    assert (tally.sent, tally.failed_after_retry.total()) == (2, 1)


def test_a_cut_answer_is_not_asked_again():
    fates, tally = visit([RIGHT, RIGHT[:9]], times=2)
    assert fates == [Fate.CORRECT, Fate.CUT]
    assert tally.failed_after_retry.total() == 1


def test_the_asks_are_repeated_by_the_seed_and_never_the_same():
    from tests.faults.client import next_ask

    first, again = random.Random(5), random.Random(5)
    asks = [next_ask(first, "v1") for _ in range(200)]
    assert asks == [next_ask(again, "v1") for _ in range(200)]
    assert len({ask.token for ask in asks}) == 200


def test_how_many_were_at_it_at_once():
    assert most_at_once({1: 1.0, 2: 2.0, 3: 5.0}, {1: 3.0, 2: 4.0, 3: 6.0}, since=0.0) == 2
    assert most_at_once({1: 1.0, 2: 2.0, 3: 5.0}, {1: 3.0, 2: 4.0, 3: 6.0}, since=1.5) == 1

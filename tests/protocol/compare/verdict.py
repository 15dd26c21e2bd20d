"""Whether a server answers a vector as it should: whole, octet by octet, behind another request, and alone.

Alone: it says 100 when the client waits for that. And where refusing is a choice and the head is whole, it refuses
without anything behind the vector; otherwise it may wait for the end of a request that it knows to be wrong.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.protocol.compare.answers import Answered, answers_so
from tests.protocol.compare.subjects import Running
from tests.protocol.vectors import Refused, Served
from tests.support.raw import Client
from tests.support.ways import BEHIND, NEIGHBOUR, cut_at

PATIENCE = 3.0
"""Seconds a server has for an answer, or for the end of the connection behind a refusal."""

END = b"\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")

NOT_SAID = frozenset({"REQUEST_URI"})
"""Keys that PEP 3333 does not know."""


@dataclass
class Told:
    """What a client was told: the final statuses, how often 100, and whether the connection ended."""

    statuses: list[int]
    interim: int
    ended: bool


def passes(running: Running, vector: Refused | Served | Answered) -> bool:
    """Whether it does in every way."""
    if isinstance(vector, Answered):
        return answers_so(running, vector)
    octets = cut_at(vector.data, range(1, len(vector.data)))
    # With the last octet: what comes behind an end that was agreed upon may reset the connection, and take the answer.
    ways = [[vector.data + BEHIND], [*octets[:-1], octets[-1] + BEHIND], [NEIGHBOUR + vector.data + BEHIND]]
    if isinstance(vector, Refused) and vector.choice and END in vector.data:
        ways.append([vector.data])
    return all(passes_so(running, vector, pieces) for pieces in ways) and (
        not isinstance(vector, Served) or not vector.continues or passes_so(running, vector, waiting(vector), wait=True)
    )


def waiting(vector: Served) -> list[bytes]:
    """The head, and what a client sends when it has been told to go on."""
    head, end, body = vector.data.partition(END)
    return [head + end, body + BEHIND]


def passes_so(running: Running, vector: Refused | Served, pieces: list[bytes], *, wait: bool = False) -> bool:
    """Whether it does in one way; with `wait` the second piece is sent when 100 has come."""
    running.forget()
    before = ["/neighbour"] if pieces[0].startswith(NEIGHBOUR) else []
    after = ["/behind"] if isinstance(vector, Served) and vector.lasts else []
    answers = len(before) + len(after) + isinstance(vector, Served)
    told = converse(running.url, pieces, answers if after else 0, wait=wait)
    if told.interim > 1 or (told.interim and b" HTTP/1.0\r\n" in vector.data):
        return False  # RFC 9110 section 15.2: none to HTTP/1.0
    calls = [json.loads(line) for line in running.record.read_text().splitlines()]
    paths = [call["environ"]["PATH_INFO"] for call in calls]
    if isinstance(vector, Refused):
        refusal = told.statuses[len(before) :]
        return paths == before and told.ended and all(400 <= status < 600 for status in refusal) and len(refusal) <= 1
    if len(calls) != answers or told.statuses != [200] * answers or told.ended is bool(after):
        return False
    return (
        [paths[0]] * len(before) == before
        and paths[len(calls) - len(after) :] == after
        and is_seen(calls[len(before)], vector)
    )


def is_seen(call: dict[str, Any], vector: Served) -> bool:
    """Whether the application saw what it should; what PEP 3333 does not ask for is compared where it is there."""
    environ = call["environ"]
    seen = environ["REQUEST_METHOD"], environ.get("RAW_URI", vector.target), call["body"].encode("latin-1")
    wanted = {name: value for name, value in vector.environ.items() if name not in NOT_SAID}
    said = {name: environ.get(name) for name in wanted}
    return seen == (vector.method, vector.target, vector.body) and said == wanted


def converse(url: str, pieces: list[bytes], answers: int, *, wait: bool) -> Told:
    """Sends the pieces and reads until there are so many answers; 0: until the end of the connection."""
    received, ended = b"", False
    with Client(url) as client, suppress(TimeoutError, ConnectionError):
        client.socket.settimeout(PATIENCE)
        for number, piece in enumerate(pieces):
            if wait and number:
                client.read_until(b" 100 ")
                client.read_until(END)
                received = b"HTTP/1.1 100 " + client.read_exactly(len(client.buffer))
            client.send(piece)
        while not (answers and len(finals(received)) >= answers and received.endswith(b"ok")):
            data = receive(client)
            ended = not data
            if ended:
                break
            received += data
    return Told(finals(received), STATUS.findall(received).count(b"100"), ended)


def finals(received: bytes) -> list[int]:
    """The final statuses so far."""
    return [int(status) for status in STATUS.findall(received) if status != b"100"]


def receive(client: Client) -> bytes:
    """The next bytes; nothing at the end, which a reset is too."""
    try:
        return client.socket.recv(65536)
    except ConnectionResetError:
        return b""

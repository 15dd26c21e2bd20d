"""The ways in which the same bytes can reach a server; none of them may change the answer."""

import random
from enum import Enum

from tests.support.raw import Client

SEED = 20261120
"""Of every random split; printed with each, so that a failure can be run again."""

NEIGHBOUR = b"GET /neighbour HTTP/1.1\r\nHost: test\r\n\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: test\r\n\r\n"


class Way(Enum):
    """How bytes are cut into segments, and what stands before them."""

    WHOLE = "whole"
    BYTES = "byte by byte"
    SPLIT = "at random places"
    PIPELINED = "behind a valid request"
    PIPELINED_SPLIT = "behind a valid request, at random places"

    @property
    def pipelined(self) -> bool:
        """Whether `NEIGHBOUR` goes first."""
        return self in {Way.PIPELINED, Way.PIPELINED_SPLIT}


def send(client: Client, data: bytes, way: Way) -> None:
    """Sends `data` on `client` in the given way; the answer to a neighbour is left for the caller to read."""
    if way.pipelined:
        data = NEIGHBOUR + data
    if way is Way.BYTES:
        client.send_pieces(data, [1] * (len(data) - 1))
    elif way in {Way.SPLIT, Way.PIPELINED_SPLIT}:
        seed = f"{SEED} {data[:64]!r}"
        print(f"random pieces from seed {seed!r}")
        client.send_pieces(data, random_sizes(len(data), random.Random(seed)))
    else:
        client.send(data)


def random_sizes(length: int, source: random.Random) -> list[int]:
    """Sizes of some pieces of `length` bytes."""
    cuts = sorted(source.sample(range(1, length), min(length - 1, 7)))
    return [end - start for start, end in zip([0, *cuts], cuts, strict=False)]

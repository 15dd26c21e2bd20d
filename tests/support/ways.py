"""The ways in which the same bytes can reach a server; none of them may change the answer."""

import random
from collections.abc import Iterable
from itertools import pairwise

SEED = 20261120
"""Of every random split; printed with each, so that a failure can be run again."""

NEIGHBOUR = b"GET /neighbour HTTP/1.1\r\nHost: test\r\n\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: test\r\n\r\n"


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The pieces of `data` between these places."""
    edges = [0, *places, len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def cuts(data: bytes, short: int) -> list[int]:
    """Where `data` is cut in two: everywhere up to `short` octets, beyond them near its ends and around blocks."""
    everywhere = range(1, len(data))
    if len(data) <= short:
        return list(everywhere)
    return sorted({*everywhere[:12], *everywhere[-12:], *everywhere[:: max(509, len(data) // 16)]})


def octets(data: bytes, short: int, limits: Iterable[int], around: int) -> list[int]:
    """Where `data` is cut so that it comes octet by octet: everywhere up to `short` octets, beyond them `around` its
    ends and where limits may be reached, and in pieces of 499 octets between."""
    if len(data) <= short:
        return list(range(1, len(data)))
    near = {edge + step for edge in (0, *limits, len(data)) for step in range(-around, around)}
    return sorted((near & set(range(1, len(data)))) | set(range(499, len(data), 499)))


def random_places(length: int, source: random.Random) -> list[int]:
    """Up to seven places at which `length` octets are cut."""
    return sorted(source.sample(range(1, length), min(length - 1, 7)))

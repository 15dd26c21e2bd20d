"""Sends cases through a proxy, and compares what the proxy passed on with what the server behind it saw."""

import re
import socket
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pronghorn.observe.access import AccessLog
from pronghorn.testing import serve_engine
from tests.proxies.generator import Case, Request
from tests.proxies.kinds import Kind, Passed, behind, requests
from tests.support.apps import Environ, StartResponse
from tests.support.raw import Client

ID = re.compile(r"c\d+-\d+-[0-9a-f]{8}-(?:hidden)?")
QUIET = 0.3
"""Seconds without an octet after which a client takes a spoiled request for incomplete, and leaves."""

CLIENTS = 6
"""Connections at the same time."""


@dataclass
class Outcome:
    """What both sides saw. `passed` is the proxy's log, `seen` the server's: status and request line (`-`: refused).

    `answers` and `statuses` are what the clients were told: the ids of what was served, and all statuses.
    """

    cases: list[Case]
    passed: list[Passed] = field(default_factory=list)
    seen: list[tuple[int, str]] = field(default_factory=list)
    bodies: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    answers: dict[int, list[str]] = field(default_factory=dict)
    statuses: dict[int, list[int]] = field(default_factory=dict)

    @property
    def passed_on(self) -> list[Passed]:
        """What the proxy passed on."""
        return [one for one in self.passed if one.passed_on]

    @property
    def served(self) -> list[str]:
        """The request lines that the server served."""
        return [line for _, line in self.seen if line != "-"]

    @property
    def refused(self) -> Counter[int]:
        """How many requests the server refused, by status."""
        return Counter(status for status, line in self.seen if line == "-")


class Remembering:
    """Answers with the request's id in a field, and remembers length and checksum of its body."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[tuple[int, int]]] = {}
        self.lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        body = environ["wsgi.input"].read()
        name = id_of(environ["RAW_URI"])
        with self.lock:
            self.bodies.setdefault(name, []).append((len(body), zlib.crc32(body)))
        start_response("200 OK", [("X-Id", name), ("Content-Length", "2")])
        return [b"ok"]


def id_of(text: str) -> str:
    """The id in a target or request line, or `-`."""
    found = ID.search(text)
    return found[0] if found else "-"


def play(kind: Kind, cases: list[Case], folder: Path) -> Outcome:
    """Every case through one proxy, on a connection each."""
    app, outcome = Remembering(), Outcome(cases)
    log = AccessLog("%(s)s|%(r)s", str(folder / "seen"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    with serve_engine(app, [listener], access=log):
        with behind(kind, folder, listener.getsockname()[1]) as proxy, ThreadPoolExecutor(CLIENTS) as clients:
            answers = clients.map(lambda case: converse(proxy.url, case), cases)
            for number, (names, statuses) in enumerate(answers):
                outcome.answers[number], outcome.statuses[number] = names, statuses
        outcome.passed = requests(kind, proxy)
    log.flush()
    lines = (line.partition("|") for line in (folder / "seen").read_text().splitlines())
    outcome.seen = [(int(status), line) for status, _, line in lines]
    outcome.bodies = app.bodies
    return outcome


def converse(url: str, case: Case) -> tuple[list[str], list[int]]:
    """Sends a case; the ids and the statuses of the answers, in their order."""
    received = b""
    with Client(url) as client, suppress(TimeoutError, ConnectionResetError):
        client.send(case.data)
        if case.spoiled:
            client.socket.settimeout(QUIET)
        while received.lower().count(b"\r\nx-id: ") < len(case.requests) and (data := client.socket.recv(65536)):
            received += data
    text = received.decode("latin-1")
    statuses = [int(status) for status in re.findall(r"HTTP/1\.[01] ([2-9]\d\d) ", text)]
    return re.findall(r"\r\nx-id: (\S+)\r", text, re.IGNORECASE), statuses


def disagreements(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Each disagreement of both sides: its kind, and the request."""
    passed = Counter(method_and_id(one.request) for one in outcome.passed_on)
    served = Counter(method_and_id(line) for line in outcome.served)
    for name, times in (served - passed).items():
        yield "served more often than passed on", f"{name}: {times}"
    unserved = passed - served
    fine = Counter(method_and_id(one.request) for one in outcome.passed_on if 200 <= one.status < 400)
    for name, times in unserved.items():
        if fine[name] > served[name]:
            yield "answered and never served", f"{name}: {times}"
    for status, times in unaccounted(outcome, unserved).items():
        yield "refused more often than passed on", f"{status}: {times}"
    issued = {name for case in outcome.cases for name in names_of(case)}
    for number, names in outcome.answers.items():
        expected = iter(names_of(outcome.cases[number]))
        if not all(name in expected for name in names if name in issued):
            yield "answers that belong to others, or out of order", f"case {number}: {names}"
    for number, case in enumerate(outcome.cases):
        what = "chunk extensions or trailers" if any(request.extended for request in case.requests) else "plain framing"
        for request in case.requests[:-1] if case.spoiled else case.requests:
            if is_wrong(outcome, request, required=not case.spoiled):
                told = 503 in outcome.statuses[number] and is_cut(outcome, request)
                how = "cut short by the proxy, which answered 503" if told else "not served as it was sent"
                yield f"a valid request with {what}, {how}", f"{request.method} {request.target}"


GIVEN_UP = frozenset({0, 408, 499, 500, 502, 503, 504})
"""Statuses in the log of a proxy that hides what the server said: it, or its client, had given the request up."""


def unaccounted(outcome: Outcome, unserved: Counter[str]) -> Counter[int]:
    """Refusals by the server, by status, that no request which was passed on and not served can have met with.

    Each takes one that the proxy logged with its status, or else one of those whose status hides the server's.
    """
    told: Counter[int] = Counter()
    left = Counter(unserved)
    for one in outcome.passed_on:
        name = method_and_id(one.request)
        if left[name] and not 200 <= one.status < 400:
            left[name] -= 1
            told[one.status] += 1
    unmatched = outcome.refused - told
    hidden = sum(times for status, times in (told - outcome.refused).items() if status in GIVEN_UP)
    return unmatched if unmatched.total() > hidden else Counter()


def names_of(case: Case) -> list[str]:
    """The ids of a case in their order; what is hidden in a request may come out as one, if the proxy sees it too."""
    return [name for request in case.requests for name in (request.id, f"{request.id}hidden")]


def method_and_id(line: str) -> str:
    """What both logs say of a request: a proxy may write the rest of the line in its own way."""
    return f"{line.partition(' ')[0]} {id_of(line)}"


def is_wrong(outcome: Outcome, request: Request, *, required: bool) -> bool:
    """Whether a valid request was not served once, with its body. It may be left out where it is not `required`."""
    bodies = outcome.bodies.get(request.id, [])
    return bodies != [(len(request.body), zlib.crc32(request.body))] and (bool(bodies) or required)


def is_cut(outcome: Outcome, request: Request) -> bool:
    """Whether it was served once with no more than a beginning of its body, or not at all."""
    bodies = outcome.bodies.get(request.id, [])
    begins = [size < len(request.body) and zlib.crc32(request.body[:size]) == checksum for size, checksum in bodies]
    return begins in ([], [True])

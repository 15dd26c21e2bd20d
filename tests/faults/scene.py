"""One case on one server: the folder, the server in it, the load on it, and what is claimed about what came of it."""

import contextlib
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.faults.client import Plan, Tally
from tests.faults.load import Load
from tests.faults.servers import Loaded, Unavailable
from tests.support.raw import wait_for

HERE = Path(__file__).parent
WORKERS = 4
THREADS = 8

BASE = {"workers": WORKERS, "threads": THREADS, "timeout": 30, "graceful_timeout": 10, "keepalive": 75}
"""The settings of every case; each adds its own."""


@dataclass
class Claim:
    """Something that must be so."""

    text: str
    kept: bool
    detail: str = ""


@dataclass
class Finding:
    """What came of one case on one server."""

    case: str
    server: str
    seed: int
    rounds: int
    sent: int = 0
    failed: int = 0
    failed_after_retry: int = 0
    seconds: float = 0.0
    claims: list[Claim] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    """Measured, for the table; seconds unless the name says otherwise."""
    examples: list[dict[str, object]] = field(default_factory=list)
    unavailable: str = ""

    @property
    def broken(self) -> list[Claim]:
        """The claims that were not kept."""
        return [claim for claim in self.claims if not claim.kept]

    def describe(self) -> str:
        """For a person who has to find out why."""
        lines = [f"{self.case} on {self.server}, seed {self.seed}, {self.rounds} rounds: {self.sent} requests, "]
        lines += [f"NOT KEPT: {claim.text}: {claim.detail}" for claim in self.broken]
        lines += [f"facts: {self.facts}", *(str(example) for example in self.examples[:20])]
        return "\n".join(lines)


@dataclass(frozen=True)
class Case:
    """A row of the table."""

    name: str
    title: str
    play: Callable[["Scene"], None]
    short: int
    """Rounds (or seconds) in the test suite."""
    long: int
    """The same in `make faults`."""
    no_gunicorn: str = ""
    """Why Gunicorn cannot play it."""


class Scene:
    """What a case is given."""

    def __init__(self, case: Case, kind: type[Loaded], folder: Path, *, rounds: int, seed: int) -> None:
        self.kind, self.folder, self.rounds, self.seed = kind, folder, rounds, seed
        self.dice = random.Random(seed)
        self.finding = Finding(case.name, kind.name, seed, rounds)
        self.settings: dict[str, Any] = {}
        for name in ("application.py", "page.py", "shop.py"):
            shutil.copy(HERE / name, folder / name)
        self.release(1)

    def release(self, version: int, code: str = "") -> None:
        """Deploys a version of the application; `code` runs when it is imported."""
        draft = self.folder / "release.draft"
        draft.write_text(f"{code}\nVERSION = {version}\n")
        draft.replace(self.folder / "release.py")

    @contextlib.contextmanager
    def serve(
        self, wrap: Sequence[str] = (), application: str = "application:app", **settings: Any
    ) -> Iterator[Loaded]:
        """The server of this scene, with all workers up."""
        self.settings = BASE | settings
        with self.kind(self.folder, self.settings, wrap, application) as server:
            server.up(self.settings["workers"])
            yield server

    @contextlib.contextmanager
    def load(self, server: Loaded, **plan: Any) -> Iterator[Load]:
        """The load on a server. What came of it joins the finding."""
        seconds = plan.pop("seconds", 60.0 + 10 * self.rounds)
        with Load(Plan(port=server.address[1], seed=self.seed, seconds=seconds, **plan)) as load:
            yield load
        self.count(load.tally)

    def count(self, tally: Tally) -> None:
        """Adds the figures of a load to the finding."""
        finding = self.finding
        finding.sent += tally.sent
        finding.failed += tally.failed.total()
        finding.failed_after_retry += tally.failed_after_retry.total()
        finding.seconds += tally.seconds
        finding.examples += tally.failures
        self.measure("longest pause", max(tally.longest_pause, finding.facts.get("longest pause", 0)))

    def measure(self, name: str, value: float) -> None:
        """A figure for the table."""
        self.finding.facts[name] = round(value, 3)

    def claim(self, text: str, kept: bool, detail: object = "") -> None:
        """Something that must be so."""
        self.finding.claims.append(Claim(text, bool(kept), str(detail)[:2000]))

    def claim_none_failed(self, tally: Tally, but: int = 0) -> None:
        """No request failed, beyond `but` that the fault itself took; a retry as the RFC allows it is no failure."""
        lost = tally.failed_after_retry.total()
        text = "no request failed" if but == 0 else f"at most {but} requests failed"
        self.claim(text, lost <= but, f"{lost}: {dict(tally.failed_after_retry)}")
        self.claim("every answer is right", tally.failed["wrong"] == 0, tally.failed["wrong"])

    def eventually(self, text: str, condition: Callable[[], object], seconds: float = 15.0) -> bool:
        """Claims that something comes to be in time; says whether it did."""
        began = time.monotonic()
        try:
            wait_for(condition, text, seconds)
        except AssertionError as error:
            self.claim(text, kept=False, detail=error)
            return False
        self.claim(text, kept=True, detail=f"{time.monotonic() - began:.2f} s")
        return True

    def reload(self, server: Loaded, text: str) -> None:
        """HUP, and waits until all workers are new. A server that has ended has none: the load need not go on."""
        before = server.crew()
        server.kill(signal.SIGHUP)

        def settled() -> bool:
            return len(server.crew()) == self.settings["workers"] and not server.crew() & before

        self.eventually(f"{text}: an end", lambda: server.process.poll() is not None or settled())
        self.claim(f"{text}: all workers are new", settled(), server.text[-1500:])

    def play(self, case: Case) -> Finding:
        """Plays the case; the finding."""
        try:
            case.play(self)
        except Unavailable as why:
            self.finding.unavailable = str(why)
        return self.finding


class Watch(threading.Thread):
    """Counts the living of some processes, or anything else, again and again; the least and most it saw."""

    def __init__(self, count: Callable[[], int], every: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._count, self._every, self._leave = count, every, threading.Event()
        self.seen: list[int] = []

    def run(self) -> None:
        """Until the block ends."""
        while not self._leave.wait(self._every):
            self.seen.append(self._count())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self.join()


def most_at_once(begun: dict[int, float], ended: dict[int, float], since: float) -> int:
    """How many processes were at it at the same time, of those that began after `since`."""
    events = [(at, 1) for at in begun.values() if at >= since]
    events += [(ended[pid], -1) for pid, at in begun.items() if at >= since and pid in ended]
    most = now = 0
    for _, step in sorted(events):
        now += step
        most = max(most, now)
    return most

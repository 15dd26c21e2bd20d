"""Starts the load beside a test, and reads what came of it."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.client import Plan, Tally

ROOT = Path(__file__).parents[2]


class Load:
    """The load of a plan, from the first correct answer to the end of the block; then `tally` is there."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tally = Tally()
        self._stopped = False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.client", json.dumps(asdict(self.plan))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = self._process.stdout.readline()
        if said != "loading\n":
            self._process.kill()
            self._process.communicate()
            raise AssertionError(f"not one request was answered in {self.plan.patience} s: {said[:2000]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets the visitors finish what they are at, and leave. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        try:
            said, _ = self._process.communicate(timeout=3 * self.plan.patience)
        finally:
            self._process.kill()
            self._process.wait()
        self.tally = read(json.loads(said))

    def left(self) -> bool:
        """All visitors have left by themselves."""
        return self._process.poll() is not None


def read(data: dict[str, object]) -> Tally:
    """A tally from its JSON."""
    tally = Tally(**data)
    tally.failed, tally.failed_after_retry = Counter(tally.failed), Counter(tally.failed_after_retry)
    return tally

"""A configuration whose hooks note that they were called, and raise where a test says so."""

import json
from pathlib import Path
from typing import Any

from pronghorn.settings.hooks import HOOKS

HEAD = """\
import json, os, pathlib, time
HERE = pathlib.Path(__file__).parent

def facts(thing):
    if isinstance(thing, (int, str, type(None))):
        return thing
    if hasattr(thing, "WORKERS"):
        return {"pid": thing.pid, "wanted": thing.num_workers, "known": sorted(thing.WORKERS)}
    if hasattr(thing, "age"):
        return {name: getattr(thing, name) for name in ("pid", "ppid", "age", "nr", "alive", "booted", "aborted")}
    if hasattr(thing, "status_code"):
        names = ("status", "status_code", "headers", "sent", "response_length", "headers_sent", "chunked")
        return {name: getattr(thing, name) for name in names}
    if hasattr(thing, "uri"):
        names = ("method", "path", "uri", "query", "fragment", "headers", "version", "peer_addr", "scheme")
        return {name: getattr(thing, name) for name in names}
    return None

def tell(name, *arguments):
    with open(HERE / "told", "a") as told:
        told.write(json.dumps([name, os.getpid(), [facts(argument) for argument in arguments]]) + "\\n")
    if (HERE / f"raise.{name}").exists():
        raise ValueError(f"boom")

"""

LINES = {}
"""The line of each hook."""

NOTING = HEAD
for _name, _point in HOOKS.items():
    if not _point.never:
        LINES[_name] = NOTING.count("\n") + 1
        _arguments = ", ".join(_point.arguments)
        NOTING += f"def {_name}({_arguments}):\n    tell('{_name}', {_arguments})\n"


class Told:
    """What the hooks in a folder have noted."""

    def __init__(self, place: Path) -> None:
        self._file = place / "told"

    def __call__(self) -> list[tuple[str, int, list[Any]]]:
        """Name, process and arguments of each call, in order."""
        if not self._file.exists():
            return []
        lines = self._file.read_text().splitlines(keepends=True)
        return [tuple(json.loads(line)) for line in lines if line.endswith("\n")]

    def names(self) -> list[str]:
        """The names alone."""
        return [name for name, _, _ in self()]

    def of(self, name: str) -> list[tuple[int, list[Any]]]:
        """Process and arguments of the calls of one hook."""
        return [(pid, arguments) for called, pid, arguments in self() if called == name]

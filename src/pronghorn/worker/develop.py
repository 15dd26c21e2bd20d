"""What a worker does beyond serving while its application is written: watches its files, survives that it is broken."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pronghorn.apps.load import load
from pronghorn.dev.debugger import Debugged, is_flask, wants_debugger
from pronghorn.dev.discover import find
from pronghorn.dev.files import Signature
from pronghorn.dev.page import BrokenApplication
from pronghorn.dev.watch import Files, Watch, engine_in_use
from pronghorn.errors import AppLoadError
from pronghorn.options import DevelopmentOptions
from pronghorn.worker import report

MOST_NAMED = 5
"""Files that a line in the log names."""


class Development:
    """The development mode of one worker."""

    def __init__(self, options: DevelopmentOptions, report_to: int) -> None:
        """Begins to note what is imported."""
        self._options = options
        self._report_to = report_to
        self._files = Files(options.reload_extra_files) if options.reload else None
        self._watch: Watch | None = None
        self._greenlets = False
        self._changed = False
        self.broken = False

    def __repr__(self) -> str:
        return f"<Development reload={self._options.reload} debug={self._options.debug}>"

    def load(self, spec: str, *, greenlets: bool) -> Callable[..., Any]:
        """The application, or what answers in its place. AppLoadError where files are not watched."""
        self._greenlets = greenlets
        try:
            app = (find if self._options.debug else load)(spec, greenlets=greenlets)
        except AppLoadError as error:
            if self._files is None:
                raise
            self.broken = True
            self._files.look_for_missing()
            report.send(self._report_to, report.Broken(str(error), error.trace))
            return BrokenApplication(error)
        return Debugged(app) if self._options.debug and is_flask(app) and wants_debugger(app) else app

    def watch(self) -> None:
        """Tells the arbiter of changes from now on, and of those since the import."""
        if self._files is not None:
            engine = engine_in_use(self._options.reload_engine, greenlets=self._greenlets)
            self._watch = Watch(self._files, engine, self._tell)

    def leave(self) -> bool:
        """The worker drains. What it alone may have seen is told; whether it has ever seen a change."""
        if self._watch is not None:
            self._watch.last_look()
        return self._changed

    def _tell(self, changed: Mapping[str, Signature]) -> None:
        self._changed = True
        here = str(Path.cwd()) + os.sep
        names = sorted(path.removeprefix(here) for path in changed)
        if len(names) > MOST_NAMED:
            names[MOST_NAMED:] = [f"and {len(names) - MOST_NAMED} more"]
        state = hashlib.sha256(repr(sorted(changed.items())).encode(errors="surrogateescape")).hexdigest()
        report.send(self._report_to, report.Changed(names, state))

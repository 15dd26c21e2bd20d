"""Watches files: a thread that tells when one of those that a worker depends on is not what it was.

What has changed is always found by looking at the files. An engine only says when to look: polling after a while, the
kernel's notifications (inotify, through watchfiles) as soon as something happens. So both see the same.
"""

import importlib.util
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Protocol

from pronghorn.dev.files import Signature, Surroundings, expand, signature

POLL = 0.25
"""Seconds between two looks when polling. Gunicorn, Flask and Django look once a second."""

SAFETY = 1.0
"""Seconds after which files are looked at even if the kernel tells nothing: network mounts, replaced folders."""

SETTLED = 0.05
"""Seconds without another change after which a burst of saves counts as over."""

RACY = 2.0
"""Seconds since its last change within which a source is compiled anew. A .pyc file knows its source by size and by the
whole second of its change (PEP 552): another edit of the same size in that second would not be seen."""

LONGEST_BURST = 2.0
"""Seconds after which a burst that does not end is told of all the same."""

log = logging.getLogger("pronghorn.error")


def engine_in_use(wanted: str) -> str:
    """`inotify` or `poll`, for a `reload_engine`."""
    return "inotify" if wanted != "poll" and importlib.util.find_spec("watchfiles") is not None else "poll"


class Imports:
    """The source files that the import system has read in this process, each as it was when that began.

    A module that could not be imported stands in no other list, and neither does what a file was like before the
    watch began: an edit in the middle of an import would be lost.
    """

    def __init__(self) -> None:
        """Takes notes from now on, for as long as the process lives."""
        self.read: dict[str, Signature | None] = {}
        # Called for every source file before its code is read (importlib.abc.SourceLoader.path_stats).
        before = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: str) -> Mapping[str, Any]:
            found = signature(path)
            self.read.setdefault(str(Path(path).absolute()), found)
            if found is not None and time.time() - found[0] / 1e9 < RACY:
                # Without stats the import system neither reads nor writes a .pyc file.
                raise OSError(f"{path} may change again in the same second")
            return before(loader, path)

        SourceFileLoader.path_stats = path_stats  # type: ignore[assignment, method-assign]

    def everything(self) -> dict[str, Signature | None]:
        """Also what was imported before, what is no source file, and whatever is imported while this is asked."""
        found = dict(self.read)
        for module in list(sys.modules.values()):
            # Not by getattr: a lazy module would be imported by it.
            path = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(path, str) and path not in found:
                found[path] = self.read.setdefault(path, signature(path))
        return found


class Files:
    """All files that count, as they were when they were last told of."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Looks at what the patterns name now; what is imported from now on is noted.

        Arguments:
            patterns: as in `reload_extra_files`, absolute.
        """
        self._imports = Imports()
        self._patterns = patterns
        self._around: Surroundings | None = None
        self._known = self._beside()
        self._folders: tuple[int, frozenset[str]] = 0, frozenset()

    def look_for_missing(self) -> None:
        """Says that the application could not be imported: what is missing may be a file that is not there yet."""
        self._note_imports()
        self._around = Surroundings(self._known, sys.path)
        self._known = self._beside() | self._known

    def changed(self) -> dict[str, Signature]:
        """What is not what it was. A file that is gone does not count before it is there again.

        Editors and version control take files away for a moment, and the application that runs does not need them.
        """
        self._note_imports()
        now = self._beside()
        now |= {path: signature(path) for path in self._known if path not in now}
        return {path: found for path, found in now.items() if found is not None and found != self._known.get(path)}

    def settle(self, changed: Mapping[str, Signature]) -> None:
        """Takes these for what the files are like."""
        self._known |= changed

    def folders(self) -> frozenset[str]:
        """The folders that the files are in, also behind symbolic links."""
        count, folders = self._folders
        if count != len(self._known):
            found = {Path(path) for path in self._known}
            found |= {path.resolve() for path in found}
            folders = frozenset(str(folder) for folder in {path.parent for path in found} if folder.is_dir())
            self._folders = len(self._known), folders
        return folders

    def _note_imports(self) -> None:
        for path, found in self._imports.everything().items():
            self._known.setdefault(path, found)

    def _beside(self) -> dict[str, Signature | None]:
        """What counts without having been imported."""
        paths = expand(self._patterns)
        if self._around is not None:
            paths = itertools.chain(paths, self._around.files())
        return {path: signature(path) for path in paths}


class Engine(Protocol):
    """Says when to look."""

    def wait(self, files: Files) -> None:
        """Returns when something may have changed."""


class Polling:
    """Looks again and again."""

    def __init__(self, pause: float = POLL) -> None:
        self._pause = threading.Event(), pause

    def wait(self, files: Files) -> None:  # noqa: ARG002 - it looks at all of them
        """Returns after a while."""
        never, pause = self._pause
        never.wait(pause)


class Notified:
    """Has the kernel tell."""

    def __init__(self) -> None:
        self._folders: frozenset[str] = frozenset()
        self._told: Any = None
        self._instead: Polling | None = None

    def wait(self, files: Files) -> None:
        """Returns when something has happened in the folders of the files, and after a while anyway."""
        if self._instead is not None:
            self._instead.wait(files)
            return
        try:
            folders = files.folders()
            if folders != self._folders:
                self._folders, self._told = folders, _watch(folders)
            next(self._told)
        # A folder that went in this moment, or no more watches (fs.inotify.max_user_watches): whatever it is that the
        # package raises, its own errors among it, polling needs none of it.
        except Exception as error:  # noqa: BLE001
            log.warning("files are polled from here on: the kernel does not tell of changes (%s)", error)
            self._instead = Polling()


def _watch(folders: frozenset[str]) -> Any:
    from watchfiles import watch  # noqa: PLC0415 - an extra, and only for development

    return watch(
        *folders,
        watch_filter=None,
        step=1,
        debounce=50,
        rust_timeout=int(SAFETY * 1000),
        yield_on_timeout=True,
        recursive=False,
        raise_interrupt=False,
    )


Tell = Callable[[Mapping[str, Signature]], None]


class Watch:
    """Tells of changes, in a thread of its own, for as long as the process lives."""

    def __init__(self, files: Files, engine: str, tell: Tell) -> None:
        """Begins.

        Arguments:
            engine: as `engine_in_use` says.
            tell: called with what has changed, once for each burst of changes.
        """
        self._files = files
        self._tell = tell
        self._engine: Engine = Notified() if engine == "inotify" else Polling()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def last_look(self) -> None:
        """Tells of what has changed since the thread looked last: whoever takes over may have come too late for it."""
        with self._lock:
            self._say(self._files.changed())

    def _run(self) -> None:
        try:
            while True:
                # Before the first wait: something may have changed since it was imported.
                self._look()
                self._engine.wait(self._files)
        except Exception:
            log.exception("files are not watched any more: send HUP to reload")

    def _look(self) -> None:
        with self._lock:
            changed = self._files.changed()
        pause = Polling(SETTLED)
        for _ in range(int(LONGEST_BURST / SETTLED) if changed else 0):
            pause.wait(self._files)
            with self._lock:
                before, changed = changed, self._files.changed()
                if changed == before:
                    break
        with self._lock:
            self._say(changed)

    def _say(self, changed: Mapping[str, Signature]) -> None:
        if changed:
            self._files.settle(changed)
            self._tell(changed)

"""What a file is like, and which files a pattern means."""

import glob
import os
import sysconfig
from collections.abc import Iterable, Iterator

Signature = tuple[int, int, int]
"""Time of the last change in nanoseconds, size, inode: an editor that writes a new file in its place keeps at most two.

Also a time that went back counts, as after a checkout. `touch` counts, as everywhere: it is how a reload is asked for.
"""

_INSTALLED = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def signature(path: str) -> Signature | None:
    """What the file is like, behind symbolic links; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def expand(patterns: Iterable[str]) -> Iterator[str]:
    """The files that the patterns mean now. One that is a plain path is returned whether it is there or not."""
    for pattern in patterns:
        if os.path.isdir(pattern):
            found = glob.iglob(os.path.join(glob.escape(pattern), "**"), recursive=True)
        elif glob.has_magic(pattern):
            found = glob.iglob(pattern, recursive=True)
        else:
            yield pattern
            continue
        yield from (path for path in found if not os.path.isdir(path))


class Surroundings:
    """Where what might cure a failed import will appear: among the application's sources, or what is installed."""

    def __init__(self, paths: Iterable[str], import_path: Iterable[str]) -> None:
        """Looks around once.

        Arguments:
            paths: files that were imported, the application's and others.
        """
        folders = {os.path.dirname(path) for path in paths if not path.startswith(_INSTALLED)}
        folders |= {folder or os.curdir for folder in import_path}
        self._installed = [folder for folder in folders if (folder + os.sep).startswith(_INSTALLED)]
        self._own = [glob.escape(folder) for folder in folders.difference(self._installed)]

    def files(self) -> Iterator[str]:
        """The sources that are there now, one folder deep; and folders that packages are installed into.

        A package that is installed or removed changes the folder.
        """
        yield from self._installed
        for folder in self._own:
            for depth in ("*.py", os.path.join("*", "*.py")):
                yield from glob.iglob(os.path.join(folder, depth))

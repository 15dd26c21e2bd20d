"""Whether the server could write the files that its settings name; nothing is opened, made or left behind."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REMEDIES = {
    "errorlog": "name a file this user may write, or - for standard error",
    "accesslog": "name a file this user may write, or - for standard output",
    "pidfile": "name a file in a folder this user may write",
}
"""What to do, for each setting that names a file to be written."""

STANDARD = "-"


def unwritable(values: Mapping[str, Any], origins: Mapping[str, str], cwd: Path) -> Iterator[str]:
    """One line for each file that cannot be written. What only an attempt would show (a full disk) is left to it."""
    for name, remedy in REMEDIES.items():
        file = values[name]
        # A pidfile takes the place of the one before in one step, so the folder is what must be writable.
        replaced = name == "pidfile"
        if file is None or (replaced and not file) or (not replaced and file == STANDARD):
            continue
        reason = _obstacle(cwd / file, replaced=replaced)
        if reason:
            yield f"{origins[name]}: {name} {file!r} cannot be written ({reason}); {remedy}"


def _obstacle(path: Path, *, replaced: bool) -> str:
    """Why the file cannot be written, as the system says it; empty if it can."""
    there = os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a folder may not be entered
    if there and path.is_dir():
        return "Is a directory"
    # A link to nothing makes the file where it points to.
    target = path if there and not replaced else path.parent if replaced else Path(os.path.realpath(path)).parent
    try:
        folder = stat.S_ISDIR(target.stat().st_mode)
    except OSError as error:
        return error.strerror or str(error)
    wanted = os.W_OK | os.X_OK if folder else os.W_OK
    if target != path and not folder:
        return "Not a directory"
    if os.access(target, wanted, effective_ids=True):
        return ""
    return "Read-only file system" if os.statvfs(target).f_flag & os.ST_RDONLY else "Permission denied"

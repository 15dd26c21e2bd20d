"""`pronghorn migrate`: what starts Gunicorn now, as it would start Pronghorn, with every difference explained."""

import contextlib
import difflib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from pronghorn.cli.migration.command import Note, translate
from pronghorn.cli.migration.files import migrate
from pronghorn.errors import SettingsError

NAME = "migrate"
BACKUP = ".before-pronghorn"
NO_EQUIVALENT = 1
"""Exit status: something that was asked for has no equivalent."""

ABOUT = """Print the equivalent of how Gunicorn is started.

Each FILE is a gunicorn.conf.py, a systemd unit, a Procfile, a Dockerfile or a shell script; the change is printed as a
patch. Or give the command itself, behind `--`. What is different is explained on standard error. Nothing is run, and
nothing is written without --write.

Exit status: 0, or 1 if something has no equivalent, or 2 if something cannot be read or starts no Gunicorn."""


def run_migrate(arguments: Sequence[str]) -> int:
    """Do what the words behind `pronghorn migrate` ask for; the exit status.

    SettingsError for what cannot be read, click.ClickException for what is wrong with the words themselves.
    """
    words = list(arguments)
    split = words.index("--") if "--" in words else len(words)
    command = click.Command(
        f"pronghorn {NAME}",
        params=[
            click.Argument(["files"], nargs=-1, metavar="[FILE]... | -- COMMAND..."),
            click.Option(["--write"], is_flag=True, help=f"Write the files; each stays beside as FILE{BACKUP}."),
        ],
        help=ABOUT,
        callback=lambda files, write: _act(files, words[split + 1 :], write=write),
        context_settings={"max_content_width": 120, "help_option_names": ["--help", "-h"]},
    )
    return int(command.main(words[:split], prog_name=f"pronghorn {NAME}", standalone_mode=False) or 0)


def _act(files: Sequence[str], command: Sequence[str], *, write: bool) -> int:
    if bool(files) == bool(command):
        raise SettingsError(
            "migrate: name files, or write the command behind `--`: pronghorn migrate -- gunicorn app:app"
        )
    if command:
        return migrate_command(command)
    statuses, problems = [], []
    for name in files:
        try:
            statuses.append(migrate_file(name, write=write))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            hint = "; a command stands behind `--`" if " " in name.strip() else ""
            problems.append(f"{' '.join(name.split())}: {reason}{hint}")
    if problems:
        raise SettingsError(*problems)
    return max(statuses)


def migrate_command(words: Sequence[str]) -> int:
    """Print the equivalent of a command, given as its words or as one text; the exit status."""
    line = words[0] if len(words) == 1 else shlex.join(words)
    try:
        translated = translate(line)
    except ValueError as error:
        raise SettingsError(f"migrate: {line}: {error}") from error
    if translated is None:
        raise SettingsError(f"migrate: {line}: it does not start Gunicorn")
    print(translated[0])
    return _tell(("", note) for note in translated[1])


def migrate_file(name: str, *, write: bool) -> int:
    """Print the change of one file, or write it; the exit status. OSError and ValueError say what is wrong."""
    path = Path(name)
    text = path.read_bytes().decode()
    migrated = migrate(name, text)
    status = _tell((f"{name}:{remark.line or ''}: ".replace("::", ":"), remark.note) for remark in migrated.remarks)
    if migrated.text == text:
        print(f"{name}: nothing must change", file=sys.stderr)
    elif not write:
        before, after = (each.splitlines(keepends=True) for each in (text, migrated.text))
        sys.stdout.writelines(difflib.unified_diff(before, after, name, name))
    elif status:
        print(f"{name}: not written, because something has no equivalent", file=sys.stderr)
    else:
        replace(path.resolve(), migrated.text)
        print(f"{name}: written; as it was: {name}{BACKUP}", file=sys.stderr)
    return status


def replace(path: Path, text: str) -> None:
    """Write the file anew in one step, and leave what it was beside it. OSError if either cannot be done."""
    backup = path.with_name(path.name + BACKUP)
    if backup.exists():
        raise FileExistsError(0, f"{backup} exists; move it away, it is what the file was before")
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(path, new)
        with contextlib.suppress(PermissionError):
            os.chown(new, path.stat().st_uid, path.stat().st_gid)
        shutil.copy2(path, backup)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _tell(notes: Iterable[tuple[str, Note]]) -> int:
    """Show the notes, those that decide first; the exit status."""
    ordered = sorted(notes, key=lambda each: not each[1].grave)
    for place, note in ordered:
        print(f"{place}{note.text}", file=sys.stderr)
    return NO_EQUIVALENT if any(note.grave for _, note in ordered) else 0

"""The files that start Gunicorn: systemd units, Procfiles, Dockerfiles, shell scripts, and its own configuration."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePath

from msgspec import Struct

from pronghorn.cli.migration.command import Note, Plan, make_plan, translate
from pronghorn.cli.migration.python import migrate_python

LINES = r"((?:[^\\\n]|\\[ \t\r]*\n(?:[ \t]*#[^\n]*\n)*|\\.)*)"
"""The rest of a line and those that continue it, with the comments that may stand between."""

UNIT = re.compile(rf"^[ \t]*Exec\w+[ \t]*=[ \t]*{LINES}", re.MULTILINE)
PROCFILE = re.compile(r"^[\w-]+:[ \t]*(.*)$", re.MULTILINE)
DOCKERFILE = re.compile(rf"^[ \t]*(?:CMD|ENTRYPOINT)[ \t]+{LINES}", re.MULTILINE | re.IGNORECASE)
SCRIPT = re.compile(r"(?s)(.+)")
COMMENT = re.compile(r"(?<=\n)[ \t]*#[^\n]*\n")
ARGUMENTS = re.compile(r"""GUNICORN_CMD_ARGS=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']*)""")
MENTION = re.compile(r"gunicorn", re.IGNORECASE)
NO_MATTER = re.compile(r"\s*(#|Description\s*=|Documentation\s*=)")


class Remark(Struct, frozen=True):
    """A note and the line it is about; 0 is the file as a whole."""

    line: int
    note: Note


class Migrated(Struct, frozen=True):
    """A file as it should be, and what to know about it."""

    text: str
    remarks: list[Remark]


class Part(Struct, frozen=True):
    """A stretch of a file that is a command: written anew, or None if it starts no Gunicorn."""

    start: int
    end: int
    new: str | None
    notes: list[Note]


def migrate(name: str, text: str) -> Migrated:
    """The file with Pronghorn in the place of Gunicorn. ValueError if it cannot be read, or starts no Gunicorn."""
    file = PurePath(name).name
    if file.endswith(".py"):
        new, notes = migrate_python(text)
        return Migrated(new, [Remark(line, note) for line, note in notes])
    if file.endswith((".service", ".conf")):
        return _assemble(text, [_shell(text, found) for found in UNIT.finditer(text)])
    if file.startswith("Procfile"):
        return _assemble(text, [_shell(text, found) for found in PROCFILE.finditer(text)])
    if file.startswith(("Dockerfile", "Containerfile")) or file.endswith((".Dockerfile", ".dockerfile")):
        return _assemble(text, list(_dockerfile(text)))
    if file.endswith(".sh") or re.match(r"#!.*sh\b", text):
        return _assemble(text, [_shell(text, found) for found in SCRIPT.finditer(text)])
    raise ValueError(
        "it is none of the files that are understood: *.py, *.service, Procfile, Dockerfile, shell scripts; give the "
        "command itself, `pronghorn migrate -- gunicorn …`"
    )


def _shell(text: str, found: re.Match[str], *, skips_comments: bool = False) -> Part:
    # Docker drops lines of comment before a shell sees them; a continuation of the same length leaves all places valid.
    seen = COMMENT.sub(lambda line: " " * (len(line[0]) - 2) + "\\\n", found[1]) if skips_comments else found[1]
    try:
        translated = translate(seen, found[1])
    except ValueError as error:
        if not MENTION.search(found[1]):
            return Part(*found.span(1), None, [])
        raise ValueError(f"line {_line(text, found.start(1))}: {error}") from error
    return Part(*found.span(1), *(translated or (None, [])))


def _dockerfile(text: str) -> Iterator[Part]:
    """The instructions CMD and ENTRYPOINT; the last CMD in the exec form goes on where an ENTRYPOINT begins."""
    entry: tuple[re.Match[str], list[str]] | None = None
    arguments: tuple[re.Match[str], list[str]] | None = None
    for found in DOCKERFILE.finditer(text):
        words = _exec_form(found[1])
        if words is None:
            yield _shell(text, found, skips_comments=True)
        elif found[0].lstrip()[:1].lower() == "e":
            entry = found, words
        else:
            arguments = found, words
    plans: list[tuple[re.Match[str], list[str], Plan]] = []
    first = entry[1] if entry else []
    rest = arguments[1] if arguments else []
    # ENTRYPOINT ["docker-entrypoint.sh"] and CMD ["gunicorn", …] make one command as well.
    plan = make_plan([*first, *rest])
    if plan is None:
        return
    if entry:
        plans.append(
            (entry[0], first, Plan({at: new for at, new in plan.changes.items() if at < len(first)}, plan.notes))
        )
    if arguments:
        moved = {at - len(first): new for at, new in plan.changes.items() if at >= len(first)}
        plans.append((arguments[0], rest, Plan(moved, [] if entry else plan.notes)))
    for found, words, part in plans:
        kept = [part.changes.get(at, word) for at, word in enumerate(words)]
        new = json.dumps([word for word in kept if word is not None], ensure_ascii=False)
        yield Part(*found.span(1), new if part.changes else found[1], part.notes)


def _exec_form(value: str) -> list[str] | None:
    """The words of `["gunicorn", "app:app"]`; None if it is the shell form, as Docker takes all that is no JSON."""
    try:
        words = json.loads(re.sub(r"\\[ \t\r]*\n([ \t]*#[^\n]*\n)*", "", value))
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _assemble(text: str, parts: list[Part]) -> Migrated:
    """The text with its commands written anew. ValueError if none of them starts Gunicorn."""
    ours = sorted((part for part in parts if part.new is not None), key=lambda part: part.start)
    if not ours:
        raise ValueError("no Gunicorn is started in it")
    place, pieces, remarks = 0, list[str](), list[Remark]()
    handled: set[int] = set()
    for part in ours:
        pieces += [text[place : part.start], part.new or ""]
        place = part.end
        first = _line(text, part.start)
        remarks += [Remark(first, note) for note in part.notes]
        handled |= set(range(first, _line(text, part.end) + 1))
    remarks += _elsewhere(text, handled)
    return Migrated("".join([*pieces, text[place:]]), remarks)


def _elsewhere(text: str, handled: set[int]) -> Iterator[Remark]:
    """What the file says about Gunicorn outside the commands."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = ARGUMENTS.search(line)
        if found and not NO_MATTER.match(line):
            plan = make_plan(["gunicorn", *shlex.split(found[1].strip("\"'"))])
            for note in plan.notes if plan else []:
                # What is not set there may be set in the command.
                if " is not set: " not in note.text:
                    yield Remark(number, Note(f"GUNICORN_CMD_ARGS is read as before; {note.text}", grave=note.grave))
        elif number not in handled and MENTION.search(line) and not NO_MATTER.match(line):
            yield Remark(number, Note(f"it speaks of Gunicorn too, see whether that must change: {line.strip()}"))


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1

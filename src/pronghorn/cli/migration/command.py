"""One command that starts Gunicorn: the same for Pronghorn, and what is different about it."""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from pronghorn.cli.migration.words import Kind, edited, quoted, split
from pronghorn.cli.parameters import spell_out
from pronghorn.options.fleet import WORKER_CLASSES
from pronghorn.options.table import TABLE
from pronghorn.options.table import Kind as ValueKind
from pronghorn.settings.agree import MEANT_BY_CLASS
from pronghorn.settings.differences import DIFFERENCES
from pronghorn.settings.gunicorn import ABSENT, TAKE_OUT, Absent, Fate, Takes
from pronghorn.settings.values import convert

PROGRAM = re.compile(r"(.*/)?gunicorn[\d.]*")
MODULES = ("gunicorn", "gunicorn.app.wsgiapp")
SHELL = re.compile(r"(.*/)?(ba|da|a|z|k)?sh")
SCRIPT_FLAG = re.compile(r"-[a-z]*c")
NOT_STARTING = {"install", "which", "pkill", "killall", "pgrep", "echo", "man"}
"""Words before which `gunicorn` is not what is run."""

OURS = "pronghorn"
OWN_CLASS = "a class that is written for Gunicorn has to be changed, docs/worker-classes.md"
UNKNOWN = "what its value is cannot be told from here"


class Note(Struct, frozen=True):
    """One thing to know; `grave` if what was asked for has no equivalent."""

    text: str
    grave: bool = False


class Plan(Struct):
    """What becomes of the words of a command: written anew, or taken out where it is None."""

    changes: dict[int, str | None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


class Said(Struct, frozen=True):
    """One argument: the setting's name (empty if nobody knows it), how it was written, its value, its words."""

    name: str
    flag: str
    value: str | bool | None
    words: range


def _flags() -> Iterator[tuple[str, tuple[str, Takes]]]:
    for name, entry in TABLE.items():
        for flag in entry.flags:
            perhaps = Takes.PERHAPS if entry.option.bare else Takes.VALUE
            yield flag, (name, Takes.NOTHING if entry.kind is ValueKind.BOOLEAN else perhaps)
    for name, absent in ABSENT.items():
        for flag in absent.flags:
            yield flag, (name, absent.takes)
    yield from dict.fromkeys(("--config", "-c"), ("config", Takes.VALUE)).items()
    for flag in ("--check-config", "--print-config", "--version", "-v", "--help", "-h"):
        yield flag, (flag.strip("-").replace("-", "_"), Takes.NOTHING)


FLAGS = dict(_flags())


def translate(line: str, written: str | None = None) -> tuple[str, list[Note]] | None:
    """The shell command line with Pronghorn in the place of Gunicorn; None if it starts none.

    `written` is the line as it stands in its file, of the same length, where that holds more than a shell sees.
    ValueError if it cannot be taken apart.
    """
    pieces = split(line)
    changes, notes, found = {}, list[Note](), False
    simple = []
    for piece in [*pieces, None]:
        if piece is not None and piece.kind is not Kind.BREAK:
            simple += [piece] if piece.kind is Kind.WORD else []
            continue
        plan = make_plan([word.text for word in simple])
        if plan is not None:
            found = True
            notes += plan.notes
            for index, new in plan.changes.items():
                word = simple[index]
                raw = line[word.start : word.end]
                changes[word] = new if new is None or raw == word.text else quoted(raw, new)
        simple = []
    return (edited(written or line, changes), notes) if found else None


def make_plan(words: Sequence[str]) -> Plan | None:
    """What to do with the words of a simple command; None if it does not start Gunicorn. ValueError as `translate`."""
    for index, word in enumerate(words):
        following = words[index + 1 : index + 2]
        if SHELL.fullmatch(word) and following and SCRIPT_FLAG.fullmatch(following[0]) and len(words) > index + 2:
            inner = translate(words[index + 2])
            return inner and Plan({index + 2: inner[0]}, inner[1])
        if word in NOT_STARTING:
            return None
        if word == "-m" and following and following[0] in MODULES:
            return _plan(words, index + 1, OURS)
        if PROGRAM.fullmatch(word):
            return _plan(words, index, re.sub(r"gunicorn[\d.]*$", OURS, word))
    return None


def _plan(words: Sequence[str], program: int, ours: str) -> Plan:
    plan = Plan({program: ours})
    said = list(read_arguments(words, program + 1))
    for one in said:
        notes, stays = judge(one.name, one.flag, one.value)
        plan.notes += notes
        if not stays:
            plan.changes |= dict.fromkeys(one.words)
    if sum(one.name == "app" for one in said) > 1:
        plan.notes.append(Note("more than one application is named; Pronghorn takes one", grave=True))
    plan.notes += notes_on_defaults({one.name: one.value for one in said})
    return plan


def read_arguments(words: Sequence[str], place: int) -> Iterator[Said]:
    """The arguments from `place` on, as Gunicorn's parser takes them."""
    while place < len(words):
        word = words[place]
        if word == "--" or not word.startswith("-") or word == "-":
            if word != "--":
                yield Said("app", "APP", word, range(place, place + 1))
            place += 1
            continue
        long = word.startswith("--")
        flag, equals, value = spell_out([word])[0].partition("=") if long else (word[:2], word[2:], word[2:])
        name, takes = FLAGS.get(flag, ("", Takes.NOTHING))
        end = place + 1
        given: str | bool | None = value if equals else None
        if takes is Takes.NOTHING and name:
            # `-DR` is -D and -R.
            given = ABSENT[name].stands_for is True if name in ABSENT else True
            if equals:
                name, flag = "", word
        elif takes is not Takes.NOTHING and not equals:
            behind = words[end : end + 1]
            if takes is Takes.VALUE or (behind and not behind[0].startswith("-")):
                given = behind[0] if behind else None
                end += len(behind)
            else:
                given = TABLE[name].option.bare
        yield Said(name, flag, given, range(place, end))
        place = end


def judge(name: str, flag: str, value: object) -> tuple[list[Note], bool]:
    """What to know about one setting, and whether it stays in the command."""
    if not name:
        return [Note(f"{flag}: it is not understood: no option of Gunicorn, or several in one word", grave=True)], True
    if name in ABSENT:
        return judge_absent(ABSENT[name], flag, value)
    notes = []
    if name in TABLE and not is_computed(value):
        try:
            kept = convert(TABLE[name], value)
        except ValueError as error:
            return [Note(f"{flag}: {error}", grave=True)], True
        if name == "worker_class" and kept not in WORKER_CLASSES:
            notes.append(Note(f"{flag} {value}: {OWN_CLASS}", grave=True))
    gunicorn = TABLE[name].option.gunicorn if name in TABLE else name
    if gunicorn in DIFFERENCES and DIFFERENCES[gunicorn].effect:
        notes.append(Note(f"{flag}: {DIFFERENCES[gunicorn].effect}"))
    return notes, True


def judge_absent(absent: Absent, flag: str, value: object) -> tuple[list[Note], bool]:
    """The same for one that Pronghorn does not have."""
    if not absent.asks(value):
        return [], True
    grave = absent.fate is Fate.REFUSED
    what = "no equivalent" if grave else "left out"
    nearest = "" if absent.instead == TAKE_OUT else f"; {absent.instead}"
    return [Note(f"{flag}: {what}: {absent.why}{nearest}", grave=grave)], False


def notes_on_defaults(given: Mapping[str, object]) -> list[Note]:
    """What is different because nobody has set it."""
    notes = []
    said = str(given.get("worker_class")).lower()
    worker_class = TABLE["worker_class"].option.aliases.get(said, said)
    for name, difference in DIFFERENCES.items():
        settled = name == "threads" and worker_class in MEANT_BY_CLASS
        if difference.unset and name not in given and not settled:
            unless = f", unless {given['config']} sets it" if given.get("config") else ""
            notes.append(
                Note(f"{name} is not set{unless}: {difference.unset} Gunicorn's default is `{difference.keep}`.")
            )
    return notes


def is_computed(value: object) -> bool:
    """Whether a shell makes the value when the command runs."""
    return isinstance(value, str) and ("$" in value or "`" in value)

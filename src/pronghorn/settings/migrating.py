"""The page about coming from Gunicorn: made from the options, from what is absent, and from what differs."""

from collections.abc import Iterable, Iterator

from pronghorn.options.table import TABLE
from pronghorn.settings.describe import default_text
from pronghorn.settings.differences import BEHAVIOURS, DIFFERENCES, Difference
from pronghorn.settings.gunicorn import ABSENT, COMMAND, Absent, Fate
from pronghorn.settings.hooks import HOOKS

GUNICORN = "27.0.1"
"""The version that the tables are about."""

INTRODUCTION = f"""\
<!-- Made by `python -m pronghorn.settings.reference` from src/pronghorn/settings; change it there. -->

# Coming from Gunicorn

Write `pronghorn` where `gunicorn` stands. The command line, `GUNICORN_CMD_ARGS`, `gunicorn.conf.py` and the variables
`WEB_CONCURRENCY`, `PORT` and `FORWARDED_ALLOW_IPS` are read as Gunicorn {GUNICORN} reads them, in its order: variables
of the platform, then the file, then `GUNICORN_CMD_ARGS`, then the command line. Long options may be abbreviated as
there. Each of its settings either works or is answered:

- **works**: the [first table](#settings-that-work) has them, with what is different;
- **warning**: the server starts without it and says so;
- **error**: the server does not start, because without it something would be wrong or unsafe;
- **holds anyway**: what it asks for is always so.

A value that asks for nothing (`reload = False`, `certfile = None`, `proxy_protocol = "off"`) is never answered.

## What to change

`pronghorn migrate` reads how you start Gunicorn and prints the same for Pronghorn, with every difference:

```sh
pronghorn migrate -- gunicorn --workers 4 --worker-tmp-dir /dev/shm app:app
pronghorn migrate gunicorn.conf.py
pronghorn migrate /etc/systemd/system/shop.service Procfile Dockerfile
pronghorn migrate --write Procfile
```

What it prints on standard output is the command, or the change of the file as a patch; the explanations are on
standard error. It runs nothing of yours and writes nothing without `--write`; then the file as it was stays beside it
with `.before-pronghorn` behind its name. What it does not understand, such as a script that starts Gunicorn, it names.
The exit status is 0; 1 if something has no equivalent, so that nothing is written; 2 if a file cannot be read or no
Gunicorn is started in it. An application in a module called `migrate` is served by `pronghorn migrate:application`.

## Python files

`gunicorn.conf.py` in the directory of the start is read by itself, another one with `-c FILE`, `-c file:FILE` or
`-c python:package.module`. The directory of the start is on the import path. Functions, classes, modules, names that
begin with `_` or hold a capital letter, and names that the file itself reads are its own; a name that is left over and
is no setting gets a warning. `None` means not set. A file that imports Gunicorn itself needs it installed; it is then
only imported.
"""


HOOKS_HERE = """\
The hooks of a `gunicorn.conf.py` are called at the moments at which Gunicorn calls them, in the same process, with
objects that have the attributes that hooks use: [hooks.md](hooks.md), which also says what is different. These are
accepted and never called; each start says so:
"""


def page() -> str:
    """The page, as Markdown."""
    return "\n".join([
        INTRODUCTION,
        "## Settings that work\n",
        _table(("Setting", "Option", "Default there", "Default here", "Difference"), _honoured()),
        "\n## Differences that no setting names\n",
        BEHAVIOURS,
        "## Settings that do not\n",
        _table(
            ("Setting", "Option", "Answer", "Why", "Nearest"), (_absent_row(absent) for absent in ABSENT.values())
        ),
        "\n## Hooks\n",
        HOOKS_HERE,
        "".join(f"- `{name}`: {point.never}\n" for name, point in HOOKS.items() if point.never),
    ])  # fmt: skip


def _honoured() -> Iterator[tuple[str, ...]]:
    for command in COMMAND:
        yield f"`{command}`", f"`--{command.replace('_', '-')}`", "", "", DIFFERENCES[command].effect
    for entry in TABLE.values():
        name = entry.option.gunicorn
        if name is None:
            continue
        known = DIFFERENCES.get(name, Difference())
        there = f"`{known.default}`" if known.default else "the same"
        flags = "" if not entry.flags[0].startswith("-") else ", ".join(f"`{flag}`" for flag in entry.flags)
        ours = f"`{name}`" if entry.name == name else f"`{name}`, here `{entry.name}`"
        yield (
            ours,
            flags or "the argument",
            there,
            default_text(entry),
            " ".join(text for text in (known.unset, known.effect) if text),
        )


def _absent_row(absent: Absent) -> tuple[str, ...]:
    flags = ", ".join(f"`{flag}`" for flag in absent.flags)
    answer = f"**{absent.fate.value}**" if absent.fate is Fate.REFUSED else absent.fate.value
    return f"`{absent.name}`", flags, answer, absent.why, absent.instead


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)

"""Writes the documents that are made from the table: `python -m pronghorn.settings.reference [--check]`."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from pronghorn.options import EngineOptions, TrustOptions
from pronghorn.options.option import Unit
from pronghorn.options.table import SUBJECTS, TABLE, Entry, Kind
from pronghorn.settings.describe import bounds_text, default_text, help_text, type_text
from pronghorn.settings.migrating import page
from pronghorn.settings.units import DURATIONS, SIZES

ROOT = Path(__file__).parents[3]

TYPED = '''\
"""The settings of one engine by name, for type checkers: `make docs` makes this from `engine.py` and `trust.py`."""

from typing import TypedDict


class EngineSettings(TypedDict, total=False):
    """What `pronghorn.testing.serve` takes of the settings."""

'''

INTRODUCTION = """\
<!-- Made by `python -m pronghorn.settings.reference` from src/pronghorn/options; change it there. -->

# Settings

A value is taken from the last of these that has one:

1. the default;
2. what a platform says in the environment, in variables that are not called `PRONGHORN_…`: the tables below show them;
3. files in the directory the command is started in: `gunicorn.conf.py`, `pronghorn.conf.py`, the table
   `[tool.pronghorn]` of `pyproject.toml`, `pronghorn.toml`; or, instead of all these, what `--config` names: a file, or
   a module as `python:package.module`;
4. the environment: `PRONGHORN_<NAME>`;
5. `GUNICORN_CMD_ARGS`, which holds options as the command line does;
6. the command line, or the arguments of `pronghorn.run`.

`pronghorn --print-config` shows every value with its origin; `pronghorn --check-config app:app` tells whether the
server would start, apart from addresses and a pidfile that another process holds. A name that is no setting is an error
(in a Python file a warning), and all errors are reported at once. A setting that only Gunicorn has is answered with
what is nearest: [migrating.md](migrating.md).

- **Durations** are seconds (`30`, `0.5`) or a text with a unit: `500ms`, `30s`, `1.5m`, `2h`, `1d`.
- **Sizes** are bytes (`65536`) or a text with a unit: `64k`, `64KiB` (1024 bytes each), `64kB` (1000 each), `16MiB`,
  `1GiB`.
- **Permission bits** are octal: `0o027` or `027`, in a file also the number.
- **Lists** are a text with commas, a list, or, on the command line, an option that is given several times.

In `pronghorn.toml` all settings stand at the top level, under the names below:

```toml
app = "shop.web:app"
bind = ["127.0.0.1:8000", "unix:/run/shop.sock"]
workers = 4
timeout = "30s"
```

A Python file sets them as global names, as with Gunicorn; [migrating.md](migrating.md#python-files) says which names
are the file's own. Functions there that are called as Gunicorn's hooks are hooks: [hooks.md](hooks.md).
"""


def reference() -> str:
    """The reference page, as Markdown."""
    return INTRODUCTION + "".join(_subject(subject) for subject in SUBJECTS)


def _subject(subject: str) -> str:
    title = (SUBJECTS[subject].__doc__ or subject).rstrip(".")
    return f"\n## {title}\n" + "".join(_section(entry) for entry in TABLE.values() if entry.subject == subject)


def _section(entry: Entry) -> str:
    rows = "".join(f"| {label} | {_cell(text)} |\n" for label, text in _facts(entry) if text)
    return f"\n### `{entry.name}`\n\n{entry.option.doc}\n\n| | |\n|---|---|\n{rows}"


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    gunicorn = entry.option.gunicorn
    flags = entry.flags + ((entry.negative,) if entry.negative else ())
    yield "Command line", ", ".join(f"`{flag}`" for flag in flags)
    yield "Environment", ", ".join(f"`{name}`" for name in entry.environment)
    yield "Type", type_text(entry)
    yield "Default", default_text(entry)
    yield "Bounds", bounds_text(entry)
    yield "Gunicorn", f"`{gunicorn}`" if gunicorn else "has no such setting"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema() -> str:
    """The JSON schema of `pronghorn.toml`."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pronghorn.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _property(entry) for name, entry in TABLE.items()},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _property(entry: Entry) -> dict[str, Any]:
    about: dict[str, Any] = {"description": help_text(entry.option.doc)}
    # A default that is computed at start is the default of no schema.
    if entry.option.default_text is None:
        about["default"] = entry.default
    return about | _schema_type(entry)


def _schema_type(entry: Entry) -> dict[str, Any]:
    option = entry.option
    if entry.kind is Kind.MAPPING:
        return {"type": ["string", "object"]}
    if entry.kind is Kind.LIST:
        return {"type": ["string", "array"], "items": {"type": "string"}}
    if option.choices:
        # With a check, other texts may pass it.
        return {"type": "string", "examples": list(option.choices)} if option.check else {"enum": list(option.choices)}
    bounds = {"minimum": 0 if option.zero_is_most else option.minimum, "maximum": option.maximum}
    about: dict[str, Any] = {name: _plain(bound) for name, bound in bounds.items() if bound is not None}
    if option.unit is None:
        return {"type": entry.kind.value, **about}
    # Bounds apply to numbers only, a pattern to texts only.
    return {"type": [entry.kind.value, "string"], **about, "pattern": _pattern(option.unit)}


def _plain(bound: float) -> float:
    return int(bound) if bound == int(bound) else bound


def _pattern(unit: Unit) -> str:
    if unit is Unit.MODE:
        return r"^\s*(0[oO]?[0-7]+|[0-7])\s*$"
    suffixes = sorted(DURATIONS if unit is Unit.SECONDS else SIZES, key=lambda suffix: (-len(suffix), suffix))
    any_case = "|".join("".join(f"[{letter}{letter.upper()}]" for letter in suffix) for suffix in suffixes)
    return rf"^\s*[0-9]+(\.[0-9]+)?\s*({any_case})?\s*$"


def typed() -> str:
    """The module that says to type checkers what `pronghorn.testing.serve` takes."""
    fields = [
        f"    {name}: {inspect.formatannotation(get_type_hints(struct)[name])}"
        for struct in (EngineOptions, TrustOptions)
        for name in struct.__struct_fields__
    ]
    return TYPED + "\n".join(fields) + "\n"


DOCUMENTS = {
    "docs/settings.md": reference,
    "docs/settings.schema.json": schema,
    "docs/migrating.md": page,
    "src/pronghorn/options/typed.py": typed,
}
"""By the place in the repository."""


def main(arguments: list[str]) -> int:
    """Write the documents, or with --check tell which are not current; the exit status."""
    status = 0
    for name, render in DOCUMENTS.items():
        path, text = ROOT / name, render()
        if arguments != ["--check"]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{name} is not current: run python -m pronghorn.settings.reference", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

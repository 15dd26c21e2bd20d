"""docs/differences.md: the configurations that are compared, and every difference that is meant."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.dropin.cases import CASES, Case
from tests.dropin.differences import GROUPS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "differences.md"

HEAD = """\
<!-- Made by `make dropin` from tests/dropin/differences.py; change it there. -->

# What is seen to differ from Gunicorn

{count} configuration files of the kinds that are found in the field, each with an application and a client, are played
on Gunicorn 27.0.1 and on Pronghorn. What the client is answered, octet for octet, what the application sees in its
environ, what hooks and the application write, the lines of the access log, statsd and syslog datagrams, what signals
do, the exit status and the files that are left are compared. `make dropin` plays all of it on both; the test suite
plays it on Pronghorn and holds it against what Gunicorn showed. A difference that is not listed here fails the tests.

The wording of the error log is each server's own and not compared. How settings differ is in
[migrating.md](migrating.md), hooks in [hooks.md](hooks.md) and signals in [signals.md](signals.md).
"""


def page() -> str:
    """The text of the page."""
    head = HEAD.format(count=len({case.config for case in CASES}))
    return "\n".join([head, *_differences(), *_cases()])


def _differences() -> Iterator[str]:
    for title, group in GROUPS.items():
        yield f"## {title}\n"
        yield "| Seen in | Gunicorn | Pronghorn | Why |"
        yield "|---|---|---|---|"
        for meant in group:
            place = meant.place if meant.case == "*" else f"{meant.case}: {meant.place}"
            yield f"| {_code(place)} | {_code(meant.gunicorn)} | {_code(meant.pronghorn)} | {meant.why} |"
        yield ""


def _code(pattern: str) -> str:
    if pattern in {"", "*"}:
        return "" if pattern == "*" else "nothing"
    return f"`{pattern}`".replace("|", "\\|").replace("\0", "\\0")


def _cases() -> Iterator[str]:
    yield "## The configurations\n"
    yield "| Name | What it is | Signals |"
    yield "|---|---|---|"
    for case in CASES:
        yield f"| {case.title} | {_what(case)} | {', '.join(number.name for number in case.signals)} |"
    yield ""


def _what(case: Case) -> str:
    """The file's docstring, or what it sets."""
    tree = ast.parse((HERE / "configs" / f"{case.config}.py").read_text())
    text = ast.get_docstring(tree)
    if text and not case.name:
        return " ".join(text.split())
    targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    options = [word for word in case.arguments if word.startswith("--")]
    return ", ".join(f"`{word}`" for word in (*names, *options, *case.environment))

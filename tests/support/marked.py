"""Parts of docs/security.md that commands write: between a comment that names the command and one that ends it."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def _part(command: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- written by make {re.escape(command)} -->\n).*?(<!-- end -->\n)", re.DOTALL)


def write_part(command: str, text: str) -> None:
    """Puts `text` where `make command` writes."""
    page, times = _part(command).subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", PAGE.read_text())
    assert times == 1, f"{PAGE.name} has {times} parts for `make {command}`"
    PAGE.write_text(page)


def read_part(command: str) -> str:
    """What stands there."""
    found = _part(command).search(PAGE.read_text())
    assert found, f"{PAGE.name} has no part for `make {command}`"
    return found[0].partition("-->\n")[2].removesuffix("<!-- end -->\n").strip("\n")

"""Writes docs/rules.md from rules.toml: `make docs`."""

from itertools import groupby

from tests.protocol.rules import FLAWS, RULES, SECTIONS, TESTS, Flaw, Rule, functions_of, vectors_of

PAGE = TESTS.parent / "docs" / "rules.md"

HEAD = """<!-- Made by `python -m tests.protocol.page` from tests/protocol/rules.toml; change it there. -->

# What is refused, rule by rule

Each rule below is shown over a real socket, by vectors (requests, with what must become of them) and by tests that
carry its number. A vector is sent whole, octet by octet, and cut in two at every place; alone, with another request
behind it, and behind another one; each time the answer must be the same, and must come without anything being sent
behind the vector. Each piece is sent when the one before has been read. What is long is cut less often: above 300
octets in two at some forty places, above 4200 octet by octet for 100 octets around its ends and around each limit, in
pieces of 499 between, and once more octet by octet throughout, without waiting.

What is refused gets exactly the status said here, with `Connection: close`; nothing behind it is read as a request, and
the connection is read on for a while, so that the client gets its answer.

A test asks that no rule and no flaw is without what shows it, or is listed as pending.
"""


def text() -> str:
    """The whole page."""
    lines = [HEAD]
    for letter, rules in groupby(RULES, key=lambda rule: rule.section):
        title, source = SECTIONS[letter]
        lines += [f"## {letter}. {title}", "", f"{source}.", "", "| | Rule | Shown by |", "|---|---|---|"]
        lines += [f"| {rule.number} | {rule.says} | {means(rule)} |" for rule in rules]
        lines.append("")
    ours = sum(bool(flaw.rules) for flaw in FLAWS)
    lines += [
        "## Known flaws of servers of this kind",
        "",
        f"{ours} of {len(FLAWS)} can be asked of this server today, and each is. Its number is part of the names of",
        "the vectors and tests that show it (`pytest -k CVE-2024-1135`, `-k cve_2018_1000164`).",
        "",
        "| Flaw | Found in | About | |",
        "|---|---|---|---|",
        *(f"| {flaw.id} | {flaw.project} | {flaw.about} | {fate(flaw)} |" for flaw in FLAWS),
        "",
    ]
    return "\n".join(lines)


def means(rule: Rule) -> str:
    """What shows it. No numbers: a page that changes with every test would be written anew with every change."""
    if rule.pending:
        return f"pending: {rule.pending}"
    ways = ["vectors"] * bool(vectors_of(rule)) + ["tests"] * bool(functions_of(rule))
    return " and ".join(ways)


def fate(flaw: Flaw) -> str:
    """What is done about it."""
    if flaw.rules:
        rules = "rule" if len(flaw.rules) == 1 else "rules"
        return f"{rules} {', '.join(map(str, flaw.rules))}"
    return f"pending: {flaw.pending}" if flaw.pending else f"not ours: {flaw.elsewhere}"


if __name__ == "__main__":
    PAGE.write_text(text())

"""Writes docs/rules.md from rules.toml: `make docs`."""

from itertools import groupby

from tests.protocol.rules import FLAWS, RULES, SECTIONS, TESTS, VECTORS, Flaw, functions_of, shown, vectors_of

PAGE = TESTS.parent / "docs" / "rules.md"

HEAD = """<!-- Made by `python -m tests.protocol.page` from tests/protocol/rules.toml; change it there. -->

# What is refused, rule by rule

Each rule below is shown over a real socket, by vectors (requests, with what must become of them) and by tests that
carry its number. A vector is sent whole, octet by octet, cut in two at every place, and behind another request; each
time the answer must be the same. What is refused gets exactly the status said here, with `Connection: close`; nothing
behind it is read as a request, and the connection is read on for a while, so that the client gets its answer.

A test asks that no rule and no flaw is without what shows it, or is listed as pending.
"""


def text() -> str:
    """The whole page."""
    lines = [HEAD]
    for letter, rules in groupby(RULES, key=lambda rule: rule.section):
        title, source = SECTIONS[letter]
        lines += [f"## {letter}. {title}", "", f"{source}.", "", "| | Rule | Vectors | Tests |", "|---|---|---|---|"]
        for rule in rules:
            counts = (
                f"pending: {rule.pending} | "
                if rule.pending
                else f"{vectors_of(rule) or ''} | {functions_of(rule) or ''}"
            )
            lines.append(f"| {rule.number} | {rule.says} | {counts} |")
        lines.append("")
    applicable = sum(not rule.pending for rule in RULES)
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
        f"{len(VECTORS)} vectors for {applicable} rules that apply; {len(RULES) - applicable} are pending.",
        "",
    ]
    return "\n".join(lines)


def fate(flaw: Flaw) -> str:
    """What is done about it."""
    if flaw.rules:
        rules = "rule" if len(flaw.rules) == 1 else "rules"
        return f"{rules} {', '.join(map(str, flaw.rules))}: shown {shown(flaw)} times".replace(" 1 times", " once")
    return f"pending: {flaw.pending}" if flaw.pending else f"not ours: {flaw.elsewhere}"


if __name__ == "__main__":
    PAGE.write_text(text())

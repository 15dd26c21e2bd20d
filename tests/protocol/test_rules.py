"""The list of rules and flaws is whole: each is shown by something that carries its number, or is pending."""

import pytest

from tests.protocol import page
from tests.protocol.rules import FLAWS, RULES, SECTIONS, VECTORS, functions_of, shown, vectors_of

NUMBERS = [rule.number for rule in RULES]
PENDING = {"HTTP/2", "WebSocket", "TLS", "static files"}
"""What has to be built. Whoever builds it takes it from here, and the list below asks for the tests."""


def test_the_rules_are_numbered_through():
    assert list(range(1, len(RULES) + 1)) == NUMBERS
    assert [rule.section for rule in RULES] == sorted(rule.section for rule in RULES)
    assert {rule.section for rule in RULES} == set(SECTIONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"rule_{rule.number}")
def test_every_rule_is_shown_or_pending(rule):
    if rule.pending:
        assert rule.pending in PENDING
        assert not vectors_of(rule) + functions_of(rule), "no longer pending?"
    else:
        assert vectors_of(rule) + functions_of(rule)


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.id)
def test_every_flaw_is_shown_or_pending_or_not_ours(flaw):
    assert [bool(flaw.rules), bool(flaw.pending), bool(flaw.elsewhere)].count(True) == 1
    assert set(flaw.rules) <= {rule.number for rule in RULES if not rule.pending}
    assert bool(shown(flaw)) == bool(flaw.rules)
    if flaw.pending:
        assert flaw.pending in PENDING


def test_every_vector_belongs_to_a_rule_and_to_the_rules_of_its_flaws():
    rules = {flaw.id: flaw.rules for flaw in FLAWS}
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    for vector in VECTORS:
        assert vector.rule in NUMBERS
        for flaw in vector.flaws:
            assert vector.rule in rules[flaw], (vector.id, flaw)


def test_the_page_is_up_to_date():
    assert page.PAGE.read_text() == page.text(), "run `make docs`"

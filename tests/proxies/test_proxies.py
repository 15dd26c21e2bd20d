"""A short run of `make test-proxies`, and what it would call a disagreement."""

import zlib

import pytest

from tests.proxies.__main__ import LISTED
from tests.proxies.differential import Outcome, disagreements, play
from tests.proxies.generator import Case, Request, generate
from tests.proxies.kinds import KINDS, Kind, Passed

SEED = 7


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_both_sides_see_the_same_requests(kind: Kind, tmp_path):
    if not kind.installed:
        pytest.skip(f"{kind.name} is not installed")
    print(f"seed {SEED}")
    outcome = play(kind, generate(SEED, 60), tmp_path)
    assert [found for found in disagreements(outcome) if (kind.name, found[0]) not in LISTED] == []
    assert outcome.passed_on
    assert outcome.served


def test_the_same_seed_makes_the_same_requests():
    one, two = generate(SEED, 50), generate(SEED, 50)
    assert [case.data for case in one] == [case.data for case in two]
    assert {bool(case.spoiled) for case in one} == {True, False}


REQUEST = Request("c0-0-00000000-", target="/c0-0-00000000-", method="POST", body=b"ok")
PASSED = Passed("POST /c0-0-00000000- HTTP/1.1", 200, passed_on=True)
SEEN = (200, "POST /c0-0-00000000- HTTP/1.1")
HIDDEN = (200, "GET /c0-0-00000000-hidden HTTP/1.1")


def outcome_of(seen, passed=(PASSED,), body=b"ok", answers=("c0-0-00000000-",), statuses=(200,)) -> Outcome:
    """One valid request, and what both sides saw."""
    case = Case((REQUEST, Request("c0-1-11111111-")), b"", ("spoiled",))
    bodies = {REQUEST.id: [(len(body), zlib.crc32(body))]}
    return Outcome([case], list(passed), list(seen), bodies, {0: list(answers)}, {0: list(statuses)})


GONE = Passed("GET /c0-1-11111111- HTTP/1.1", 499, passed_on=True)
ANSWERED = Passed("GET /c0-1-11111111- HTTP/1.1", 501, passed_on=True)


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (outcome_of([SEEN]), []),
        (outcome_of([SEEN, HIDDEN]), ["served more often than passed on"]),
        (outcome_of([SEEN, SEEN]), ["served more often than passed on"]),
        (outcome_of([SEEN], [PASSED, PASSED]), ["answered and never served"]),
        (outcome_of([SEEN, (400, "-")]), ["refused more often than passed on"]),
        (outcome_of([SEEN, (400, "-")], [PASSED, ANSWERED]), ["refused more often than passed on"]),
        (outcome_of([SEEN, (501, "-")], [PASSED, ANSWERED]), []),
        (outcome_of([SEEN, (400, "-")], [PASSED, GONE]), []),
        (outcome_of([SEEN, (400, "-"), (400, "-")], [PASSED, GONE]), ["refused more often than passed on"]),
        (outcome_of([(400, "-")], [Passed(PASSED.request, 400, passed_on=True)]), []),
        (outcome_of([SEEN], body=b"o"), ["a valid request with plain framing, not served as it was sent"]),
        (
            outcome_of([SEEN], body=b"ox", statuses=[503]),
            ["a valid request with plain framing, not served as it was sent"],
        ),
        (
            outcome_of([SEEN], body=b"o", statuses=[503]),
            ["a valid request with plain framing, cut short by the proxy, which answered 503"],
        ),
        (
            outcome_of([SEEN], answers=["c0-1-11111111-", "c0-0-00000000-"]),
            ["answers that belong to others, or out of order"],
        ),
    ],
)
def test_what_a_disagreement_is(outcome: Outcome, found: list[str]):
    assert [what for what, _ in disagreements(outcome)] == found

"""What the attacks are reported as, and when a run of them fails."""

import json

import pytest

from tests.slow import report
from tests.slow.judge import FLOOR_MS, SLACK, complaints
from tests.slow.report import Outcome

OLD = {"attackers": 2000, "quiet_p99_ms": 0.4, "p99_ms": 0.5, "asked": 100, "bytes_each": 300.0, "cut": 0}
GOOD = Outcome(**OLD, attacked_seconds=10, held=2000, ended=0, recovered=True)


def change(**changes):
    return Outcome(**(GOOD.__dict__ | changes))


def test_the_page_shows_the_results_that_are_kept():
    page = report.PAGE.read_text()
    assert report.render(page) == page


def test_a_run_is_kept_beside_one_of_the_first_form_and_in_place_of_its_like(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    kinds = {"silent": {"pronghorn": OLD}, "slowhttptest -H": {"pronghorn": OLD}}
    first = {"circumstances": {"kernel": "Linux"}, "versions": {"pronghorn": "1"}, "outcomes": kinds}
    report.RESULTS.write_text(json.dumps(first))
    before = report.section()
    assert "| connect and say nothing | 0.4 → 0.5 ms; 0.3 KiB |" in before
    assert "ended" not in before
    for cut in (7, 8):
        report.keep("one act every 15 s", {}, {}, {"silent": {"pronghorn": change(cut=cut, ended=1)}})
        assert report.section().startswith(before)
    assert [run["label"] for run in report.kept()] == ["", "one act every 15 s"]
    long = report.section().removeprefix(before)
    assert "With one act every 15 s:" in long
    assert "0.3 KiB; 8 cut |" in long
    assert "| Processes of the server that ended | 1 |" in long


@pytest.mark.parametrize(
    ("kind", "outcome", "said"),
    [
        ("silent", GOOD, ""),
        ("silent", change(p99_ms=FLOOR_MS), ""),
        ("silent", change(p99_ms=FLOOR_MS + 0.1), "p99"),
        ("silent", change(quiet_p99_ms=5, p99_ms=9), ""),
        ("silent", change(quiet_p99_ms=5, p99_ms=11), "p99"),
        ("silent", change(recovered=False), "over"),
        ("silent", change(ended=1), "1 of its processes"),
        ("silent", change(attacked_seconds=31 + SLACK), "no attacker was cut off"),
        ("silent", change(attacked_seconds=31 + SLACK, cut=1), ""),
        ("bodies", change(attacked_seconds=31 + SLACK), ""),
        ("reads", change(attacked_seconds=61 + SLACK), ""),  # 500 bytes a second are more than min_rate
        ("idle", change(attacked_seconds=1000), ""),
        ("refused", change(attacked_seconds=1), "no attacker was cut off"),
        ("slowhttptest -H", change(attacked_seconds=31 + SLACK, cut=1), ""),
        ("slowhttptest -H", change(attacked_seconds=31 + SLACK), "no attacker was cut off"),
        ("slowhttptest -R", change(attacked_seconds=1000), ""),
        ("slowhttptest -H", Outcome(failure="slowhttptest has ended"), "has ended"),
    ],
)
def test_what_a_run_fails_for(kind, outcome, said):
    found = list(complaints(kind, outcome, 1.0))
    assert said in " ".join(found)
    assert bool(found) == bool(said)


def test_a_slow_reader_that_acts_less_often_is_below_the_least_rate():
    assert not list(complaints("reads", change(attacked_seconds=61 + SLACK), 1.0))
    assert list(complaints("reads", change(attacked_seconds=61 + SLACK), 15.0))

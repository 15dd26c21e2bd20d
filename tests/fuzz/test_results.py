"""What make fuzz-all writes down: of which sources, and which rows stand beside it."""

from fuzz.results import Row
from fuzz.targets import digest, is_current

from fuzz import results

OLD = """\
# Results

<!-- written by make fuzz-all -->

2026-11-20, all.

| Target | Seconds |
|---|--:|
| head | 60 |
| uwsgi | 60 |

2026-11-19, one.

| Target | Seconds |
|---|--:|
| proxy | 60 |

<!-- end -->

## Findings
"""


def test_a_build_of_other_sources_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.targets.BUILDS", tmp_path)
    assert not is_current("replay")
    built = tmp_path / "replay" / ".built"
    built.parent.mkdir()
    built.write_text(f"gcc\n{digest('setup.py')}  setup.py\n")
    assert is_current("replay")
    built.write_text(f"gcc\n{digest('setup.py')}  setup.py\n{digest('Makefile')}  pyproject.toml\n")
    assert not is_current("replay")


def test_a_run_replaces_the_rows_of_its_targets_only(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "compiler", lambda: "clang")
    results.RESULTS.write_text(OLD)
    rows = [Row("uwsgi", 10, 5, 1000, 20, "3 of 4", 5, "the clock"), Row("proxy", 10, 5, 10, 20, "-", 5, "a finding")]
    results.write(rows, "`make fuzz-all` of abc", 10, 1.5)
    text = results.RESULTS.read_text()
    assert text.startswith("# Results\n\n<!-- written by make fuzz-all -->\n\n")
    assert text.endswith("\n<!-- end -->\n\n## Findings\n")
    assert "2026-11-20, all.\n\n| Target | Seconds |\n|---|--:|\n| head | 60 |\n\n" in text
    assert "2026-11-19" not in text
    assert text.index("`make fuzz-all` of abc. clang, ") < text.index("| uwsgi | 10 | 5 | 1,000 | 20 |")
    assert text.count("| uwsgi |") == text.count("| proxy |") == 1

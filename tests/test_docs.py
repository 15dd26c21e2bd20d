"""What the documents say about settings and faults, held against the code."""

import re
from pathlib import Path

import pytest

from pronghorn.options.table import TABLE
from pronghorn.settings.describe import default_text
from pronghorn.wire.faults import FAULTS, SILENCE
from pronghorn.worker.exits import Exit
from tests.protocol.compare import page as compare
from tests.protocol.rules import RULES
from tests.proxies import page as proxies
from tests.support.marked import read_part

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "pronghorn"
MAP = (ROOT / "ARCHITECTURE.md").read_text()
SECURITY = (DOCS / "security.md").read_text()
LIMITS = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", SECURITY, re.MULTILINE)


def test_there_is_a_table_of_limits():
    assert {"limit_request_line", "limit_request_body", "header_timeout", "timeout"} <= {name for name, _, _ in LIMITS}


@pytest.mark.parametrize(("name", "default", "beyond"), LIMITS)
def test_the_limits(name, default, beyond):
    assert default == default_text(TABLE[name]).strip("`")
    for status in re.findall(r"\b\d{3}\b", beyond):
        assert status in TABLE[name].option.doc


def test_every_deadline_and_limit_stands_in_the_table():
    words = ("limit", "timeout", "keepalive", "worker_connections", "backlog")
    named = {name for name in TABLE if name.startswith(words) or name.endswith(words)}
    assert named - {"boot_timeout"} <= {name for name, _, _ in LIMITS}


def test_each_limit_stands_beside_those_of_others():
    beside = re.findall(r"^\| [^|]+ \| `(\w+)` [^|]+ \| [^|]+ \| [^|]+ \| [^|]+ \|$", SECURITY, re.MULTILINE)
    assert set(beside) == {name for name, _, _ in LIMITS}


def test_every_status_of_a_fault_is_spoken_of():
    spoken_of = {int(text) for text in re.findall(r"\b\d{3}\b", SECURITY)}
    assert {fault.status for fault in FAULTS.values()} - {SILENCE} <= spoken_of


def test_the_trusted_proxies():
    assert f"`{','.join(TABLE['forwarded_allow_ips'].default)}`" in SECURITY


def test_the_exit_statuses():
    page = (DOCS / "exit-statuses.md").read_text()
    assert {f"{status:d}" for status in Exit} <= set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *DOCS.glob("*.md")], ids=lambda page: page.name)
def test_a_page_is_text(page):
    """With a control character in it git and grep take a page for binary."""
    assert re.findall(r"[^\n\x20-\x7e\xa0-\U0010ffff]", page.read_text()) == []


def test_every_page_is_listed():
    listed = set(re.findall(r"\]\(([\w.-]+)\)", (DOCS / "index.md").read_text()))
    pages = {path.name for path in DOCS.iterdir() if path.suffix in (".md", ".json")}
    assert pages - {"index.md"} == listed


def test_the_map_of_the_house_has_every_file():
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix in (".py", ".pyx") and path.parent != SOURCE and path.stem != "__init__":
            assert re.search(rf"`(\w+/)?{path.stem}(\.pyx?)?`", MAP), f"{path.relative_to(SOURCE)} is not in the map"
        # The .pxd beside a .pyx is its header.
        if path.suffix == ".pxd" and not path.with_suffix(".pyx").exists():
            assert re.search(rf"`(\w+/)?{path.name}`", MAP), f"{path.relative_to(SOURCE)} is not in the map"


def test_every_file_of_the_map_is_there():
    names = {path.name for path in SOURCE.rglob("*")}
    for named in re.findall(r"`([\w/]+\.(?:pyx?|pxd|pyi))`", MAP):
        found = (SOURCE / named).exists() if "/" in named else named in names
        assert found, f"{named} is in the map only"


def test_the_defaults_beside_others():
    rows = re.findall(r"^\| [\w ]+ \| `(\w+)` ([\w ]+) \|", SECURITY, re.MULTILINE)
    assert len(rows) >= 10
    for name, default in rows:
        assert default == default_text(TABLE[name]).strip("`"), name


def test_what_the_threat_model_names():
    text = (ROOT / "THREAT_MODEL.md").read_text()
    ranges = re.findall(r"rules? ([\d, and to]+)", text)
    numbers = {int(number) for words in ranges for number in re.findall(r"\d+", words)}
    pending = {rule.number for rule in RULES if rule.pending}
    assert numbers
    assert not numbers & pending
    assert numbers <= {rule.number for rule in RULES}
    for name in re.findall(r"`(\w+)`", text):
        assert name in TABLE, name
    for path in re.findall(r"`(\w+/\w+\.\w+)`", text):
        assert (SOURCE / path).exists(), path


@pytest.mark.parametrize(("command", "page"), [("test-proxies", proxies), ("compare-security", compare)])
def test_the_results_in_the_page_are_those_that_are_kept(command, page):
    assert read_part(command) == page.text()

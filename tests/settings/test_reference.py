"""The generated documents."""

import json
import re
import subprocess
import sys

import pytest

from pronghorn.options.table import TABLE
from pronghorn.settings.reference import DOCUMENTS, ROOT

DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_current(name):
    assert (ROOT / name).read_text() == DOCUMENTS[name](), "run python -m pronghorn.settings.reference"


def test_the_check_that_continuous_integration_runs():
    command = [sys.executable, "-m", "pronghorn.settings.reference", "--check"]
    assert subprocess.run(command, check=False, timeout=30).returncode == 0


def test_every_setting_stands_in_both():
    page, schema = (DOCS / "settings.md").read_text(), json.loads((DOCS / "settings.schema.json").read_text())
    assert re.findall(r"^### `(\w+)`$", page, re.MULTILINE) == list(TABLE)
    assert list(schema["properties"]) == list(TABLE)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("timeout", ["30", "30s", "1.5 m", "500MS"], ["soon", "-1", "3x"]),
        ("body_memory", ["64k", "16MiB", "1gib", "7"], ["1m30", "k"]),
    ],
)
def test_the_patterns_of_the_schema(name, right, wrong):
    pattern = json.loads((DOCS / "settings.schema.json").read_text())["properties"][name]["pattern"]
    assert all(re.search(pattern, text) for text in right)
    assert not any(re.search(pattern, text) for text in wrong)

"""Every case in its short form. The long form, and the same on Gunicorn: `make faults` (docs/reliability.md)."""

import random

import pytest

from tests.faults.cases import CASES
from tests.faults.scene import Scene
from tests.faults.servers import Pronghorn


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    finding = Scene(case, Pronghorn, tmp_path, rounds=case.short, seed=seed).play(case)
    if finding.unavailable:
        pytest.skip(finding.unavailable)
    assert not finding.broken, finding.describe()

"""Configuration files of Gunicorn's users, on this server: what is seen is what Gunicorn showed, or meant to differ."""

import json

import pytest

from tests.dropin import report
from tests.dropin.cases import CASES
from tests.dropin.compare import KEPT, differences
from tests.dropin.differences import MEANT
from tests.dropin.scene import PRONGHORN, Scene

SHOWN = json.loads(KEPT.read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_configuration(case, tmp_path):
    ours = json.loads(json.dumps(Scene(case, PRONGHORN, tmp_path).play()))
    found = differences(case.title, SHOWN[case.title], ours)
    assert not [str(one) for one in found if not any(meant.covers(one) for meant in MEANT)]


def test_each_configuration_was_shown_to_gunicorn():
    assert set(SHOWN) == {case.title for case in CASES}
    assert len({case.config for case in CASES}) >= 30


def test_the_page_is_current():
    assert report.PAGE.read_text() == report.page(), "run `make dropin`"

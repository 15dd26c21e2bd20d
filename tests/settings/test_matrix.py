"""Every setting has its effect: each is given in a file to a server of its own, and seen over a socket or in a process.

A setting of the table without an observer fails; those stand in observers/, in the module of their setting's subject.
An observer shows what would not be so with the default.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.settings.observers import OBSERVERS
from tests.settings.observers.registry import Start
from tests.settings.observers.shop import APPLICATION
from tests.support.process import Server

from pronghorn.options.table import TABLE

TESTS = Path(__file__).parents[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers with settings from a `gunicorn.conf.py`, one worker unless it says how many."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **settings: Any) -> Server:
            settings = {"wsgi_app": "shop:app", "workers": 1, "bind": "127.0.0.1:0"} | settings
            text = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
            (tmp_path / "gunicorn.conf.py").write_text(text)
            return stack.enter_context(Server(tmp_path, *arguments, bind=()))

        yield start


ELSEWHERE = {
    "user": "test_the_application_never_sees_root",
    "group": "test_the_groups_of_the_user",
    "initgroups": "test_the_groups_of_the_user",
}
"""Seen in tests/arbiter/test_privileges.py, by root."""


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_seen_elsewhere_is(name):
    _, _, test = (TESTS / "arbiter" / "test_privileges.py").read_text().partition(f"def {ELSEWHERE[name]}(")
    assert f'"--{name}"' in test.partition("\ndef ")[0]


@pytest.mark.parametrize("name", [name for name in TABLE if name not in ELSEWHERE])
def test_has_its_effect(name, start, tmp_path):
    where = f"tests/settings/observers/{TABLE[name].subject}.py"
    assert name in OBSERVERS, f"{name} has no observer: see its effect over a socket or in a process, in {where}"
    OBSERVERS[name](start, tmp_path)


def test_nothing_is_observed_that_is_no_setting():
    assert set(OBSERVERS) <= set(TABLE)

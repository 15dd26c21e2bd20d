"""Which observer sees the effect of which setting."""

from collections.abc import Callable
from pathlib import Path

from tests.support.process import Server

Start = Callable[..., Server]
"""The fixture `start` of test_matrix.py: settings in, a server out."""

Observer = Callable[[Start, Path], None]
"""Starts servers in a folder, and fails where a setting has no effect."""

OBSERVERS: dict[str, Observer] = {}


def observes(*names: str) -> Callable[[Observer], Observer]:
    def register(observer: Observer) -> Observer:
        twice = OBSERVERS.keys() & set(names)
        assert not twice, f"observed twice: {twice}"
        OBSERVERS.update(dict.fromkeys(names, observer))
        return observer

    return register

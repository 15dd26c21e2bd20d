"""Where values come from: defaults < files < environment < command line, each with its origin."""

from pronghorn.settings.given import Given, Hook
from pronghorn.settings.load import Loaded, load, load_from, load_hooks

__all__ = ["Given", "Hook", "Loaded", "load", "load_from", "load_hooks"]

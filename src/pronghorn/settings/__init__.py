"""Where values come from: defaults < files < environment < command line, each with its origin."""

from pronghorn.settings.given import Given
from pronghorn.settings.load import Loaded, load, load_from

__all__ = ["Given", "Loaded", "load", "load_from"]

"""What can be set: frozen structs, one file per subject; each setting is declared here and nowhere else."""

from pronghorn.options.app import AppOptions
from pronghorn.options.development import DevelopmentOptions
from pronghorn.options.engine import EngineOptions
from pronghorn.options.fleet import FleetOptions
from pronghorn.options.logs import LogOptions
from pronghorn.options.network import NetworkOptions
from pronghorn.options.tree import Settings
from pronghorn.options.trust import TrustOptions

__all__ = [
    "AppOptions",
    "DevelopmentOptions",
    "EngineOptions",
    "FleetOptions",
    "LogOptions",
    "NetworkOptions",
    "Settings",
    "TrustOptions",
]

"""All the settings of one server, one struct per subject."""

from msgspec import Struct, field

from pronghorn.options.app import AppOptions
from pronghorn.options.development import DevelopmentOptions
from pronghorn.options.engine import EngineOptions
from pronghorn.options.fleet import FleetOptions
from pronghorn.options.identity import IdentityOptions
from pronghorn.options.logs import LogOptions
from pronghorn.options.network import NetworkOptions
from pronghorn.options.trust import TrustOptions


class Settings(Struct, frozen=True, kw_only=True):
    """What the arbiter holds as one generation; every room is handed its own member only."""

    app: AppOptions = field(default_factory=AppOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    fleet: FleetOptions = field(default_factory=FleetOptions)
    identity: IdentityOptions = field(default_factory=IdentityOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    logs: LogOptions = field(default_factory=LogOptions)
    trust: TrustOptions = field(default_factory=TrustOptions)
    development: DevelopmentOptions = field(default_factory=DevelopmentOptions)

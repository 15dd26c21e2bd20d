"""The observers of all settings, a module for each subject of the table; to import one registers what it holds."""

from tests.settings.observers import app, development, engine, fleet, identity, logs, network, trust
from tests.settings.observers.registry import OBSERVERS

__all__ = ["OBSERVERS", "app", "development", "engine", "fleet", "identity", "logs", "network", "trust"]

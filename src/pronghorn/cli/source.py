"""What a command was started with: enough to read its settings now, and again at a reload."""

import sys
from pathlib import Path

from msgspec import Struct

from pronghorn.settings import Given, Loaded, load
from pronghorn.settings.files import paths


class Source(Struct, frozen=True):
    """The command line, the environment and the directory as they were at the start.

    The application may change the last two while it is imported; a reload must not see that.
    """

    arguments: tuple[Given, ...]
    environ: dict[str, str]
    cwd: Path
    config: str | None = None

    def load(self, *, needs_app: bool = True) -> Loaded:
        """Read the settings and show their warnings on standard error. SettingsError as with `settings.load`."""
        return told(load(self.arguments, self.environ, self.cwd, config=self.config, needs_app=needs_app))

    def files(self) -> list[Path]:
        """The files whose change would change the settings, whether they are there or not."""
        return paths(self.cwd, self.config)


def told(loaded: Loaded) -> Loaded:
    """The same, with its warnings shown on standard error."""
    for warning in loaded.warnings:
        print(f"pronghorn: warning: {warning}", file=sys.stderr)
    return loaded

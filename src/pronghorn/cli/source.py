"""What a command was started with: enough to read its settings now, and again at a reload."""

import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from pronghorn.errors import SettingsError
from pronghorn.settings import Given, Hook, Loaded, load, load_hooks
from pronghorn.settings.files import paths


class Source(Struct, frozen=True):
    """The command line, the environment and the directory as they were at the start.

    The application may change the last two while it is imported; a reload must not see that.
    """

    arguments: tuple[Given, ...]
    environ: dict[str, str]
    cwd: Path
    config: Given | None = None
    mistakes: tuple[str, ...] = ()
    """What is wrong with the command line itself, such as an unknown option."""

    def load(self, *, needs_app: bool = True, starts: bool = False) -> Loaded:
        """Read the settings and show their warnings on standard error. SettingsError as with `settings.load`."""
        try:
            loaded = self.read(needs_app=needs_app, starts=starts)
        except SettingsError as error:
            _show(error.warnings)
            raise
        _show(loaded.warnings)
        return loaded

    def read(self, *, needs_app: bool, starts: bool) -> Loaded:
        """Read the settings; for the arguments and errors see `settings.load`."""
        return load(
            self.arguments,
            self.environ,
            self.cwd,
            config=self.config,
            mistakes=self.mistakes,
            needs_app=needs_app,
            starts=starts,
        )

    def hooks(self) -> tuple[Hook, ...]:
        """Read the hooks alone. SettingsError as with `settings.load_hooks`."""
        return load_hooks(self.arguments, self.cwd, config=self.config)

    def files(self) -> list[Path]:
        """The files whose change would change the settings, whether they are there or not."""
        return paths(self.cwd, self.config)


def _show(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"pronghorn: warning: {warning}", file=sys.stderr)

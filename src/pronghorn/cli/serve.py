"""`pronghorn APP`: serve until a signal stops the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from pronghorn.cli.source import Source
from pronghorn.settings.load import given_by_program


def serve(source: Source) -> int:
    """Run the arbiter; its exit status. StartError if the server cannot start."""
    settings = source.load().settings
    # Nothing but serving needs the arbiter, which brings the native modules.
    from pronghorn.arbiter import run  # noqa: PLC0415

    return run(settings, lambda: source.load().settings)


def serve_app(app: str, settings: Mapping[str, object]) -> int:
    """Run the arbiter for a program that calls `pronghorn.run`; its exit status. StartError as with `serve`."""
    arguments, config = given_by_program(app, settings)
    return serve(Source(arguments, dict(os.environ), Path.cwd(), config))

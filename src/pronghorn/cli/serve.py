"""`pronghorn APP`: serve until a signal stops the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from pronghorn.cli.source import Source
from pronghorn.settings import Loaded
from pronghorn.settings.load import given_by_program


def serve(source: Source) -> int:
    """Run the arbiter; its exit status. StartError if the server cannot start."""
    return _run(source, source.load())


def serve_app(app: str, settings: Mapping[str, object]) -> int:
    """Run the arbiter for a program that calls `pronghorn.run`; its exit status. StartError as with `serve`."""
    arguments, config = given_by_program(app, settings)
    return serve(Source(arguments, dict(os.environ), Path.cwd(), config))


def _run(source: Source, loaded: Loaded) -> int:
    # Nothing but serving needs the arbiter, which brings the native modules.
    from pronghorn import arbiter  # noqa: PLC0415

    return arbiter.run(loaded.settings, lambda: source.load().settings)

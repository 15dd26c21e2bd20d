"""Which configuration files are read, and in which order."""

import importlib.util
import sys
from pathlib import Path

from pronghorn.settings.given import Given, Layer
from pronghorn.settings.python_file import read_module, read_python
from pronghorn.settings.toml_file import read_pyproject, read_toml

FOUND_BY_THEMSELVES = {
    "gunicorn.conf.py": read_python,
    "pronghorn.conf.py": read_python,
    "pyproject.toml": read_pyproject,
    "pronghorn.toml": read_toml,
}
"""Read from the current directory if they are there; a later one wins over an earlier one."""


def read_files(cwd: Path, config: Given | None) -> list[Layer]:
    """The settings of what `--config` names, or else of the files that stand in the current directory."""
    found = [name for name in FOUND_BY_THEMSELVES if (cwd / name).is_file()] if config is None else []
    if (config or any(name.endswith(".py") for name in found)) and str(cwd) not in sys.path:
        # A Python file may import its neighbours, as with Gunicorn.
        sys.path.insert(0, str(cwd))
    if config is not None:
        return [_read_named(cwd, str(config.value), config.origin)]
    return [FOUND_BY_THEMSELVES[name](cwd / name, name) for name in found]


def paths(cwd: Path, config: Given | None) -> list[Path]:
    """The files that `read_files` reads, or would read if they were there."""
    if config is None:
        return [cwd / name for name in FOUND_BY_THEMSELVES]
    named = str(config.value)
    if named.startswith("python:"):
        found = importlib.util.find_spec(named.removeprefix("python:"))
        return [Path(found.origin)] if found is not None and found.origin else []
    return [cwd / named.removeprefix("file:")]


def _read_named(cwd: Path, config: str, origin: str) -> Layer:
    """`config` is a path, or `file:path`, or `python:module`, as with Gunicorn."""
    if config.startswith("python:"):
        return read_module(config.removeprefix("python:"), config)
    shown = config.removeprefix("file:")
    path = cwd / shown
    try:
        path.stat()
    except OSError as error:
        return Layer(problems=[f"{origin}: {shown}: {error.strerror or error}"])
    if path.name == "pyproject.toml":
        return read_pyproject(path, shown)
    return read_toml(path, shown) if path.suffix == ".toml" else read_python(path, shown)

"""Finds the application as `flask run` does (Flask's documentation, "Application Discovery").

Where Flask insists on a Flask application, any WSGI callable will do here.
"""

import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pronghorn.apps.load import Application, import_module, load
from pronghorn.dev.debugger import is_flask
from pronghorn.errors import AppLoadError

FILES = ("wsgi.py", "app.py")
"""What is looked for where nothing is named, in this order."""

NAMES = ("app", "application")
FACTORIES = ("create_app", "make_app")


def default_in(folder: Path) -> str:
    """The file of the application where nothing names it; empty if there is none."""
    places = {name: (folder / name, folder / name.removesuffix(".py") / "__init__.py") for name in FILES}
    return next((name for name, paths in places.items() if any(path.is_file() for path in paths)), "")


def find(spec: str) -> Application:
    """The WSGI callable that `spec` means.

    Arguments:
        spec: a module (`hello`, `hello.web`) or a file (`hello.py`, `src/hello`), which also puts its folder on the
            import path; perhaps `:` and the name of an application, or of a factory with or without arguments.

    Raises:
        AppLoadError: as with `load`.
    """
    path, _, expression = spec.partition(":")
    name = _enter(path)
    module = import_module(spec, name)
    expression = _with_call(module, expression) if expression else choose(spec, module)
    return load(f"{name}:{expression}")


def _enter(path: str) -> str:
    """The full name of the module that a path means, once the folder above its packages is on the import path."""
    place = Path(os.path.realpath(path))
    if place.suffix == ".py":
        place = place.with_suffix("")
    if place.name == "__init__":
        place = place.parent
    parts = [place.name]
    while (place.parent / "__init__.py").exists():
        place = place.parent
        parts.insert(0, place.name)
    folder = str(place.parent)
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    return ".".join(parts)


def _with_call(module: ModuleType, expression: str) -> str:
    """The expression, called if it is the bare name of a factory."""
    found = vars(module).get(expression.strip())
    return f"{expression}()" if inspect.isfunction(found) and _takes_nothing(found) else expression


def choose(spec: str, module: ModuleType) -> str:
    """The name or the call that is most likely meant where only the module is named. AppLoadError if none is."""
    names: Mapping[str, Any] = vars(module)
    flasks = [name for name in NAMES if is_flask(names.get(name))]
    if flasks:
        return flasks[0]
    flasks = [name for name, value in names.items() if is_flask(value)]
    if len({id(names[name]) for name in flasks}) > 1:
        several = ", ".join(flasks)
        raise AppLoadError(f"application {spec!r}: there are several Flask applications in it ({several}); name one: "
                           f"{spec}:{flasks[0]}")  # fmt: skip
    if flasks:
        return flasks[0]
    for name in NAMES:
        # A submodule of a package may have the name as well.
        if callable(names.get(name)):
            return name
    for name in FACTORIES:
        factory = names.get(name)
        if inspect.isfunction(factory):
            if _takes_nothing(factory):
                return f"{name}()"
            raise AppLoadError(f"application {spec!r}: the factory {name!r} needs arguments; write them: "
                               f"'{spec}:{name}(…)'")  # fmt: skip
    raise AppLoadError(
        f"application {spec!r}: there is no application in it: neither {', '.join(NAMES)}, a single Flask "
        f"application, nor a factory {' or '.join(FACTORIES)}; name it: {spec}:name"
    )


def _takes_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    return True

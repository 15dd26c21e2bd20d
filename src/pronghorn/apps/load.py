"""Finds the application that a setting names, and says in one line what is wrong when it cannot."""

import ast
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pronghorn
from pronghorn.errors import AppLoadError
from pronghorn.options.app import AppOptions
from pronghorn.options.patched import objection, patcher

Application = Callable[..., Any]

DEFAULT_ATTRIBUTE = "application"
"""What a module without `:attribute` is asked for, as with Gunicorn and mod_wsgi."""

USUAL_NAMES = ("app", "application", "wsgi_app", "create_app()", "make_app()")

_OURS = str(Path(pronghorn.__file__).parent) + os.sep


def enter_surroundings(options: AppOptions) -> None:
    """Makes this process the place the application expects: environment, current directory, import path.

    Raises:
        AppLoadError: the directory cannot be entered.
    """
    for assignment in options.raw_env:
        name, _, value = assignment.partition("=")
        os.environ[name] = value
    # Relative directories of the import path mean the place the command was started in, so they are resolved first.
    paths = [str(Path(path).absolute()) for path in options.pythonpath]
    if options.chdir:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise AppLoadError(f"chdir {options.chdir}: {error.strerror}") from error
    for path in (*reversed(paths), str(Path.cwd())):
        if path not in sys.path:
            sys.path.insert(0, path)


def load(spec: str, *, greenlets: bool = False) -> Application:
    """The WSGI callable that `spec` names.

    Arguments:
        spec: `module:attribute`, `module` (its `application`), `module:object.attribute`, or a factory call with
            literal arguments, `module:create_app("production", debug=False)`.
        greenlets: its requests will run in greenlets of gevent's, not in threads.

    Raises:
        AppLoadError: one line; its `trace` holds the traceback if the application's own code raised.
    """
    module_name, colon, expression = spec.partition(":")
    if not module_name or (colon and not expression):
        raise AppLoadError(f"application {spec!r}: write module:attribute, as in app:app")
    if module_name.startswith("."):
        raise AppLoadError(f"application {spec!r}: write the module, not a path: {_module_at(module_name)}")
    check_threads(spec, greenlets=greenlets)
    path, call = _parse(spec, expression or DEFAULT_ATTRIBUTE)
    module = import_module(spec, module_name)
    found = _find(spec, module, path)
    if call is not None:
        found = _call(spec, found, *call)
    _check(spec, found, f"{module_name}:{'.'.join(path)}", called=call is not None)
    check_threads(spec, greenlets=greenlets, imported=True)
    application: Application = found
    return application


Call = tuple[list[Any], dict[str, Any]]


def _parse(spec: str, expression: str) -> tuple[list[str], Call | None]:
    """The attribute path of the expression, and the arguments if it is a call."""
    try:
        node: ast.expr = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise AppLoadError(f"application {spec!r}: {expression!r} is not an attribute or a call of one") from error
    call: Call | None = None
    if isinstance(node, ast.Call):
        try:
            named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
            call = [ast.literal_eval(value) for value in node.args], named
        except ValueError as error:
            raise AppLoadError(
                f"application {spec!r}: arguments must be literals (texts, numbers, True, None, lists …)"
            ) from error
        if len(named) != len(node.keywords):
            raise AppLoadError(f"application {spec!r}: arguments must be literals, not ** of something")
        node = node.func
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise AppLoadError(f"application {spec!r}: {expression!r} is not an attribute or a call of one")
    return [node.id, *path], call


def import_module(spec: str, name: str) -> ModuleType:
    """The module, imported for the application that is written `spec`. AppLoadError as with `load`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module that was asked for (or a package it is in) is a wrong name; any other is the application's.
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise AppLoadError(f"application {spec!r}: {_no_module(name, error.name)}") from None
        raise _raised(spec, f"importing {name!r}", error) from error
    except (Exception, SystemExit) as error:
        raise _raised(spec, f"importing {name!r}", error) from error


def _no_module(name: str, missing: str) -> str:
    if name.endswith(".py"):
        return f"write the module, not the file: {_module_at(name)}"
    if "/" in name:
        return f"write packages with dots, not slashes: {_module_at(name)}"
    if missing != name:
        return f"there is no package {missing!r} on the import path (current directory {Path.cwd()})"
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    near = get_close_matches(name, sorted({path.stem for path in Path.cwd().glob("*.py")}), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no module {name!r} on the import path (current directory {Path.cwd()}){hint}"


def _module_at(path: str) -> str:
    """The name of the module that stands there."""
    # A path is relative to the current directory, which is on the import path.
    folder, _, module = os.path.relpath(path.removesuffix(".py")).rpartition("/")
    if folder.startswith(".."):
        return f"{module}, with --chdir {folder}"
    return f"{folder}/{module}".lstrip("./").replace("/", ".")


def _find(spec: str, module: ModuleType, path: list[str]) -> Any:
    found: Any = module
    for depth, name in enumerate(path):
        try:
            found = getattr(found, name)
        except AttributeError:
            owner = ".".join([module.__name__, *path[:depth]])
            text = f"application {spec!r}: {owner!r} has no attribute {name!r}{_nearest(found, name)}"
            raise AppLoadError(text) from None
    return found


def _nearest(owner: Any, name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    names = [other for other in dir(owner) if not other.startswith("_")]
    near = get_close_matches(name, names, n=1) or [usual for usual in USUAL_NAMES if usual.removesuffix("()") in names]
    return f"; did you mean {near[0]!r}?" if near else ""


def _call(spec: str, factory: Any, positional: list[Any], named: dict[str, Any]) -> Any:
    if not callable(factory):
        raise AppLoadError(f"application {spec!r}: it is of type {type(factory).__name__!r} and cannot be called")
    try:
        return factory(*positional, **named)
    except (Exception, SystemExit) as error:
        raise _raised(spec, "the factory", error) from error


def _check(spec: str, found: Any, place: str, *, called: bool) -> None:
    """Refuses what could never answer a request: better now than 500 for every one of them."""
    if not callable(found):
        what = "the factory returned an object" if called else f"{place.partition(':')[2]!r} is"
        raise AppLoadError(f"application {spec!r}: {what} of type {type(found).__name__!r}, which is not callable")
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return  # Written in C: it does not say what it takes.
    if _takes(signature, 2):
        return
    if _takes(signature, 3):
        raise AppLoadError(f"application {spec!r}: it takes three arguments as ASGI does; WSGI takes two")
    call, wrong = f"{place}()", "it does not take (environ, start_response), so it is not WSGI"
    if not signature.parameters:
        wrong = "it takes no arguments"
    elif not _takes(signature, 0):
        call = f"{place}(…)"
    hint = "" if called else f"; if it is a factory, write {call!r}"
    raise AppLoadError(f"application {spec!r}: {wrong}{hint}")


def check_threads(spec: str, *, greenlets: bool, imported: bool = False) -> None:
    """Refuses green threads in the place of the real ones that the engine's would be: they would never run.

    Arguments:
        greenlets: requests will run in greenlets of gevent's.
        imported: the application has been imported since the last check, so the patching is its own.

    Raises:
        AppLoadError: with who has replaced them, and the remedy.
    """
    package = patcher()
    wrong = objection(package, greenlets=greenlets)
    if wrong is not None:
        who, again = ("it has", "") if imported else ("the settings had", " and restart")
        raise AppLoadError(f"application {spec!r}: {who} {package} {wrong}{again}")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _raised(spec: str, doing: str, error: BaseException) -> AppLoadError:
    """The error for an exception from the application's own code, with the traceback of that code only."""
    summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    trimmed = traceback.TracebackException.from_exception(error)
    own = False
    for part in _chain(trimmed):
        theirs = [frame for frame in part.stack if not _is_machinery(frame.filename)]
        part.stack = traceback.StackSummary.from_list(theirs)
        own = own or bool(part.stack)
    trace = "".join(trimmed.format()) if own or isinstance(error, SyntaxError) else ""
    return AppLoadError(f"application {spec!r}: {doing} raised {summary}", trace)


def _chain(top: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    waiting = [top]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(other for other in (part.__cause__, part.__context__) if other is not None)


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_OURS, "<frozen importlib")) or filename == importlib.__file__

"""Settings from a Python file in the manner of `gunicorn.conf.py`: its global names are the settings."""

import sys
from pathlib import Path
from types import CodeType, ModuleType

from pronghorn.settings.given import Given, Layer, known_names, setting_name, unknown
from pronghorn.settings.gunicorn import HOOKS, SETTINGS

RENAME = "put _ in front if the name is the file's own"


def read_python(path: Path, shown: str) -> Layer:
    """Run the file and take the names it leaves behind. `shown` is the path for messages.

    Functions, classes, modules, and names that begin with `_` or hold a capital letter are the file's own. Of the
    functions those named like Gunicorn's hooks get a warning, since this version does not call them.
    """
    layer = Layer()
    try:
        source = path.read_bytes()
        code = compile(source, str(path), "exec")
        names = run(code, path)
    except OSError as error:
        layer.problems.append(f"{shown}: {error.strerror or error}")
        return layer
    except SyntaxError as error:
        layer.problems.append(f"{shown}:{error.lineno}: SyntaxError: {error.msg}")
        return layer
    # The file is somebody's program and may raise anything; whatever it is, it is one problem of that file.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        layer.problems.append(f"{shown}{_place(error, path)}: {type(error).__name__}: {error}")
        return layer
    lines = assignment_lines(source)
    hooks = [name for name, value in names.items() if name in HOOKS and callable(value)]
    if hooks:
        layer.warnings.append(f"{shown}: hooks are not run by this version: {', '.join(hooks)}")
    for name, value in names.items():
        if not is_own(name, value):
            _take(layer, Given(name, value, f"{shown}:{lines[name]}" if name in lines else shown), name in lines)
    return layer


def run(code: CodeType, path: Path) -> dict[str, object]:
    """The global names after the file ran, in their order."""
    module = ModuleType("__config__")
    module.__file__ = str(path)
    before = set(vars(module)) | {"__builtins__"}
    # What the file looks up by its module's name, as dataclasses and pickle do, must find it.
    sys.modules["__config__"] = module
    try:
        exec(code, vars(module))  # noqa: S102 - the file is the administrator's own program
    finally:
        del sys.modules["__config__"]
    return {name: value for name, value in vars(module).items() if name not in before}


def is_own(name: str, value: object) -> bool:
    """Whether a global name is the file's own business and not meant as a setting."""
    if name.startswith("_") or name != name.lower() or isinstance(value, ModuleType):
        return True
    return callable(value) and setting_name(name) is None


def assignment_lines(source: bytes) -> dict[str, int]:
    """The line on which each global name is last assigned, also inside an `if` or `try` of the file."""
    import ast  # noqa: PLC0415 - most servers have no Python file

    lines: dict[str, int] = {}
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        # What is assigned inside a function, a class or a comprehension is not global.
        own = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr
        pending += [child for child in ast.iter_child_nodes(node) if not isinstance(child, own)]
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    lines[target.id] = max(lines.get(target.id, 0), target.lineno)
    return lines


def _take(layer: Layer, given: Given, assigned: bool) -> None:
    name, origin = given.name, given.origin
    ours = setting_name(name)
    if ours is not None:
        layer.given.append(Given(ours, given.value, origin))
    elif name in SETTINGS:
        layer.problems.append(f"{origin}: {name} is a setting of Gunicorn that this version does not have; remove it")
    # A name that was imported, or that a loop left behind, is spelt as its owner spells it.
    elif assigned:
        layer.problems.append(f"{origin}: {unknown(name, known_names(), RENAME)}")


def _place(error: BaseException, path: Path) -> str:
    """The line of the file that was running, as `:12`."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            place = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return place

"""Settings from Python in the manner of `gunicorn.conf.py`: the global names of a file or a module are the settings."""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, ModuleType

from pronghorn.options.patched import patcher
from pronghorn.options.table import TABLE
from pronghorn.settings.given import Given, Hook, Layer, Patch, known_names, setting_name, unknown
from pronghorn.settings.gunicorn import COMMAND
from pronghorn.settings.hooks import HOOKS

RENAME = "put _ in front if the name is the file's own"
NOT_IN_A_FILE = "has an effect on the command line only"
NEEDS_GUNICORN = (
    "; the file imports Gunicorn: install gunicorn beside (it is then imported and never run), or guard the import "
    "with `except ImportError`"
)

CONFIG = "__config__"
"""The name of the module that a file runs as, the same as with Gunicorn."""


def read_python(path: Path, shown: str) -> Layer:
    """Run the file and take the names it leaves behind. `shown` is the path for messages.

    Functions, classes, modules, names that begin with `_` or hold a capital letter, and names that the file itself
    reads are the file's own. What is named as one of Gunicorn's hooks is a hook.
    """
    return _read(path, shown, lambda source: run(compile(source, str(path), "exec"), path))


def read_module(name: str, shown: str) -> Layer:
    """Import the module, anew at each reload, and take its names as `read_python` does."""
    sys.modules.pop(name, None)
    try:
        spec = importlib.util.find_spec(name)
    # What is imported on the way to it is somebody's program, as the module itself is.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return Layer(problems=[f"{shown}: {_reason(error)}"])
    if spec is None or not spec.has_location or spec.origin is None:
        return Layer(problems=[f"{shown}: there is no module {name} on the import path ({Path.cwd()} is on it)"])
    return _read(Path(spec.origin), shown, lambda _: dict(vars(importlib.import_module(name))))


def _read(path: Path, shown: str, names_of: Callable[[bytes], Mapping[str, object]]) -> Layer:
    layer = Layer()
    before = patcher()
    try:
        source = path.read_bytes()
        names = names_of(source)
    except OSError as error:
        layer.problems.append(f"{shown}{_place(error, path)}: {error.strerror or error}")
        return layer
    except SyntaxError as error:
        layer.problems.append(f"{shown}:{error.lineno}: SyntaxError: {error.msg}")
        return layer
    # The file is somebody's program and may raise anything; whatever it is, it is one problem of that file.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        layer.problems.append(f"{shown}{_place(error, path)}: {_reason(error)}")
        return layer
    after = patcher()
    if after is not None and after != before:
        layer.patch = Patch(after, shown)
    tree = ast.parse(source)
    lines, read = assignment_lines(tree), names_read(tree)
    for name, value in names.items():
        origin = f"{shown}:{lines[name]}" if name in lines else shown
        if name in HOOKS:
            if value is not None:
                layer.hooks.append(Hook(name, value, origin))
        elif name in COMMAND and name in lines and value:
            layer.warnings.append(f"{origin}: {name} {NOT_IN_A_FILE}")
        elif setting_name(name) is not None:
            _take(layer, Given(name, value, origin))
        # A name that was imported, or that a loop left behind, is spelt as its owner spells it.
        elif name in lines and name not in read and not is_own(name, value):
            layer.warnings.append(f"{origin}: {unknown(name, known_names(), RENAME)}")
    return layer


def run(code: CodeType, path: Path) -> dict[str, object]:
    """The global names after the file ran, in their order."""
    module = ModuleType(CONFIG)
    module.__file__ = str(path)
    before = set(vars(module)) | {"__builtins__"}
    # What is looked up by its module's name, as dataclasses and pickle do, must be found, in its hooks as well.
    sys.modules[CONFIG] = module
    exec(code, vars(module))  # noqa: S102 - the file is the administrator's own program
    return {name: value for name, value in vars(module).items() if name not in before}


def is_own(name: str, value: object) -> bool:
    """Whether a name that is no setting looks as if it was not meant as one."""
    return name.startswith("_") or name != name.lower() or isinstance(value, ModuleType) or callable(value)


def assignment_lines(tree: ast.AST) -> dict[str, int]:
    """The line on which each global name is last assigned or defined, also inside an `if` or `try` of the file."""
    lines: dict[str, int] = {}
    for node in global_nodes(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in HOOKS:
            lines[node.name] = max(lines.get(node.name, 0), node.lineno)
        for target in targets:
            if isinstance(target, ast.Name):
                lines[target.id] = max(lines.get(target.id, 0), target.lineno)
    return lines


def global_nodes(tree: ast.AST) -> list[ast.AST]:
    """The statements that run with the file's own global names."""
    nodes, pending = [], [tree]
    while pending:
        node = pending.pop()
        nodes.append(node)
        # What is assigned inside a function, a class or a comprehension is not global.
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            pending += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
    return nodes


def names_read(tree: ast.AST) -> set[str]:
    """The names whose value something in the file uses."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _take(layer: Layer, given: Given) -> None:
    ours = setting_name(given.name) or given.name
    value = given.value
    if value is None and ours in TABLE and not TABLE[ours].optional:
        # `bind = os.environ.get("BIND")`: not set.
        return
    if isinstance(value, ModuleType) or (
        callable(value) and ours in TABLE and given.name != TABLE[ours].option.gunicorn
    ):
        # `import syslog`, or `from shop import app`: Gunicorn has no `app`.
        return
    if isinstance(value, type):
        # Gunicorn takes a class where it takes the class's name.
        value = f"{value.__module__}.{value.__qualname__}"
    layer.given.append(Given(ours, value, given.origin))


def _reason(error: BaseException) -> str:
    needs = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "gunicorn"
    return f"{type(error).__name__}: {error}{NEEDS_GUNICORN if needs else ''}"


def _place(error: BaseException, path: Path) -> str:
    """The line of the file that was running, as `:12`."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            place = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return place

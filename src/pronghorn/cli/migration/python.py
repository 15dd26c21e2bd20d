"""A configuration file of Gunicorn, read without running it: what of it works, and what can be taken out."""

import ast

from pronghorn.cli.migration.command import UNKNOWN, Note, judge, notes_on_defaults
from pronghorn.settings.given import known_names, setting_name, unknown
from pronghorn.settings.gunicorn import ABSENT, COMMAND, Fate
from pronghorn.settings.hooks import HOOKS
from pronghorn.settings.python_file import NOT_IN_A_FILE, RENAME, assignment_lines, global_nodes, is_own, names_read

COMPUTED = object()
"""Stands for a value that only running the file would tell."""


def migrate_python(text: str) -> tuple[str, list[tuple[int, Note]]]:
    """The file without what has no effect here, and notes with their lines; 0 is the file as a whole.

    ValueError if it is no Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: SyntaxError: {error.msg}") from error
    lines, read = assignment_lines(tree), names_read(tree)
    literals = literal_values(tree)
    notes: list[tuple[int, Note]] = []
    out: set[str] = set()
    for name, line in sorted(lines.items(), key=lambda item: item[1]):
        known = setting_name(name)
        if name in HOOKS:
            if never := HOOKS[name].never:
                notes.append((line, Note(f"{name} is never called: {never}")))
        elif name in COMMAND:
            notes.append((line, Note(f"{name}: {NOT_IN_A_FILE}")))
        elif known in ABSENT:
            said = _judge_absent(name, literals.get(name, COMPUTED))
            notes += [(line, note) for note in said]
            if said and name not in read:
                out.add(name)
        elif known is not None:
            value = literals.get(name, COMPUTED)
            said = judge(known, name, "$" if value is COMPUTED else value)[0]
            notes += [(line, note) for note in said]
        elif name not in read and not is_own(name, None):
            notes.append((line, Note(unknown(name, known_names(), RENAME))))
    notes += [(line, Note("it imports Gunicorn, which must stay installed for it")) for line in _imports(tree)]
    unset = notes_on_defaults({known: literals.get(name) for name in lines if (known := setting_name(name))})
    return _without(text, tree, out), sorted(notes, key=lambda note: note[0]) + [(0, note) for note in unset]


def _judge_absent(name: str, value: object) -> list[Note]:
    absent = ABSENT[name]
    if value is not COMPUTED:
        return judge(name, name, value)[0]
    if absent.fate is Fate.HELD:
        return []
    grave = absent.fate is Fate.REFUSED
    return [Note(f"{name}: {UNKNOWN}; if it asks for something: {absent.why}; {absent.instead}", grave=grave)]


def literal_values(tree: ast.AST) -> dict[str, object]:
    """The values of the global names that are assigned once, where they are written out."""
    values: dict[str, object] = {}
    for node in global_nodes(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    values[target.id] = COMPUTED if target.id in values else _literal(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            values[node.target.id] = COMPUTED
    return values


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


def _imports(tree: ast.AST) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            lines += [node.lineno for module in modules if module.partition(".")[0] == "gunicorn"]
    return lines


def _without(text: str, tree: ast.Module, names: set[str]) -> str:
    """The text without the statements that set these names, where they stand by themselves on lines of their own.

    One inside an `if` stays: taking it out may leave a block without a statement, and it does no harm there.
    """
    lines = text.splitlines(keepends=True)
    taken = [(node.lineno, node.end_lineno or node.lineno) for node in tree.body]
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        alone = [span for span in taken if span[0] <= (node.end_lineno or node.lineno) and span[1] >= node.lineno]
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id in names and len(alone) == 1:
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "".join(lines)

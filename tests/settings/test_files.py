"""TOML files with their line numbers, and Python files."""

import tomllib
from pathlib import Path

import pytest

from pronghorn.settings.given import REMEDY, Layer
from pronghorn.settings.python_file import read_python
from pronghorn.settings.toml_file import key_lines, read_pyproject, read_toml

DOCUMENT = '''\
# a comment with = in it
title = "x"   # and one behind

text = """
title = "not a key"
[not.a.header]
"""
list = [
    1,  # [no]
    2,
]
"quoted key" = 1
[a.b]
c = {d = 1, e = [
  2]}
f.g = 3
[[a.h]]
i = 1
'''


def toml(tmp_path: Path, text: str) -> Layer:
    path = tmp_path / "pronghorn.toml"
    path.write_text(text)
    return read_toml(path, "pronghorn.toml")


def python(tmp_path: Path, text: str) -> Layer:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(text)
    return read_python(path, "gunicorn.conf.py")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_key_lines(newline):
    text = DOCUMENT.replace("\n", newline)
    tomllib.loads(text)
    lines = key_lines(text)
    assert lines[("title",)] == 2
    assert lines[("text",)] == 4
    assert lines[("list",)] == 8
    assert lines[("quoted key",)] == 12
    assert lines[("a", "b")] == 13
    assert lines[("a", "b", "c")] == 14
    assert lines[("a", "b", "f", "g")] == 16
    assert lines[("a", "h")] == 17
    assert lines[("a", "h", "i")] == 18
    assert not any("not" in key for path in lines for key in path)


def test_a_malformed_file_is_one_problem_with_its_line(tmp_path):
    (problem,) = toml(tmp_path, "workers = 2\ntimeout = = 3\n").problems
    assert problem == "pronghorn.toml:2: Invalid value (column 11)"


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "pronghorn.toml").write_bytes(b"\xff\xfe")
    (problem,) = read_toml(tmp_path / "pronghorn.toml", "pronghorn.toml").problems
    assert "utf-8" in problem


def test_a_table_in_our_file_is_no_setting(tmp_path):
    assert toml(tmp_path, "[ssl]\nworkers = 2\n[logconfig_dic]\nversion = 1\n").problems == [
        "pronghorn.toml:1: [ssl] is not a table of settings: they stand at the top level; " + REMEDY,
        "pronghorn.toml:3: logconfig_dic is not a setting; did you mean logconfig_dict?",
    ]


@pytest.mark.parametrize("text", ["", "[tool]\nx = 1\n", "tool = 3\n", "[tool]\npronghorn = 3\n", "[project]\n"])
def test_a_pyproject_that_does_not_speak_of_us(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_pyproject(tmp_path / "pyproject.toml", "pyproject.toml") == Layer()


PYTHON = """\
import multiprocessing
from os import environ
from pathlib import Path

_private = 3
LIMIT = 10
if environ:
    bind = "0.0.0.0:80"
for port in ():
    pass
workers = multiprocessing.cpu_count() * 2 + 1
accesslog = None
raw_env: list[str] = ["A=1"]


def helper():
    return LIMIT


class Thing:
    pass


def post_fork(server, worker):
    pass


def on_starting(server):
    pass


threads = helper()
"""


def test_a_python_file(tmp_path):
    layer = python(tmp_path, PYTHON)
    assert layer.problems == []
    assert {given.name: given.origin for given in layer.given} == {
        "bind": "gunicorn.conf.py:8",
        "workers": "gunicorn.conf.py:11",
        "accesslog": "gunicorn.conf.py:12",
        "raw_env": "gunicorn.conf.py:13",
        "threads": "gunicorn.conf.py:32",
    }
    assert [(hook.name, hook.origin) for hook in layer.hooks] == [
        ("post_fork", "gunicorn.conf.py:24"),
        ("on_starting", "gunicorn.conf.py:28"),
    ]
    assert layer.warnings == []


def test_an_unknown_name_in_a_python_file(tmp_path):
    layer = python(tmp_path, "bindd = ':80'\nhost = 'x'\n")
    assert layer.problems == []
    assert layer.warnings == [
        "gunicorn.conf.py:1: bindd is not a setting; did you mean bind?",
        "gunicorn.conf.py:2: host is not a setting; put _ in front if the name is the file's own",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workers = 2\nbind = \n", "gunicorn.conf.py:2: SyntaxError: invalid syntax"),
        ("\n\nworkers = cpus\n", "gunicorn.conf.py:3: NameError: name 'cpus' is not defined"),
        ("def f():\n    return 1 / 0\nthreads = f()\n", "gunicorn.conf.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_a_python_file_that_fails(tmp_path, text, problem):
    layer = python(tmp_path, text)
    assert (layer.problems, layer.given) == ([problem], [])


def test_a_python_file_knows_where_it_stands(tmp_path):
    text = "from pathlib import Path\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int' = 1\n"
    layer = python(tmp_path, text + "chdir = str(Path(__file__).parent)\n")
    assert [given.value for given in layer.given] == [str(tmp_path)]

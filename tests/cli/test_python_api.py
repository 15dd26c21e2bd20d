"""The programs of docs/python-api.md, run as they stand there."""

import re
import sys
from pathlib import Path

import pytest
from tests.support.process import Server, run

PAGE = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text()
PROGRAMS = {name: text for text, name in re.findall(r"^```python\n(# (\S+)\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)}
APPLICATION = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return [b"Hello\\n"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APPLICATION)
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text.replace(":8000", ":0"))
    return tmp_path


def test_every_program_is_run_below():
    assert set(PROGRAMS) == {"serve.py", "careful.py", "test_app.py"}


def test_the_server(folder):
    with Server(folder, command=(sys.executable, "serve.py"), bind=()) as server:
        assert server.ready(2).get() == (200, "Hello\n")
        assert server.text.count("connects to the database") == 2
        assert server.stop() == 0


def test_what_is_wrong_is_raised(folder):
    (said,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert run(folder, command=(sys.executable, "careful.py")).stdout == said


def test_the_test(folder):
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_app.py")
    assert "1 passed" in run(folder, command=command).stdout

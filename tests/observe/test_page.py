"""What docs/logging.md says: its commands start, its examples have the fields that lines have."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests.support.process import Server, run
from tests.support.raw import Client, wait_for

PAGE = (Path(__file__).parents[2] / "docs" / "logging.md").read_text()
COMMANDS = re.findall(r"^pronghorn (.+)$", PAGE, re.MULTILINE)
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.+)\n```", PAGE)]
APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/error":
        raise ValueError("broken")
    start_response("200 OK", [])
    return [b"hello"]
"""


def test_there_are_examples():
    assert len(COMMANDS) >= 4
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_right(tmp_path, command):
    (tmp_path / "app.py").write_text(APP)
    result = run(tmp_path, "--check-config", *shlex.split(command))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", ["logger_class", "logconfig_dict"])
def test_the_python_files_do_what_they_say(tmp_path, name):
    (text,) = [
        text for text in re.findall(r"```python\n(# gunicorn\.conf\.py\n.+?)```", PAGE, re.DOTALL) if name in text
    ]
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "gunicorn.conf.py").write_text(text)
    with Server(tmp_path, "--workers", "1", "app:app") as server, Client(server.url) as client:
        client.get("/healthz")
        client.get("/error", "X-Tenant: anna")
        if name == "logger_class":
            line = '127.0.0.1 anna "GET /error HTTP/1.1" 500\n'
            wait_for(lambda: server.output.read_text() == line, "the line")
        else:
            server.said(r"ERROR [0-9a-f]+-[0-9a-f]+-2 Error handling request GET /error")
            server.said(r'INFO [0-9a-f]+-[0-9a-f]+-1 127\.0\.0\.1 .+"GET /healthz HTTP/1\.1" 200')


def test_the_lines_have_the_fields_of_the_examples_and_of_the_tables(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    more = ("--log-format", "json", "--access-logfile", "access.log")
    with Server(tmp_path, "--workers", "1", *more, "app:app") as server:
        server.get("/error")
        wait_for((tmp_path / "access.log").read_text, "a line")
        (error,) = [line for line in map(json.loads, server.lines) if line["exception"]]
    access = json.loads((tmp_path / "access.log").read_text())
    tables = [
        re.findall(r"`(\w+)`", cell)
        for table in re.findall(r"\| Field \| \|\n\|---\|---\|\n((?:\|.+\n)+)", PAGE)
        for cell in [" ".join(row.split("|")[1] for row in table.splitlines())]
    ]
    for line, example, table in zip((access, error), EXAMPLES, tables, strict=True):
        assert list(line) == list(example) == table
        assert {name for name, value in line.items() if isinstance(value, int | float)} == {
            name for name, value in example.items() if isinstance(value, int | float)
        }

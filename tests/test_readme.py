"""The README's commands and programs, each run as it stands there.

Two things differ from what a reader does. A port of the README may be taken on a machine that runs tests, so the kernel
chooses one (`in_a_test`). And `make test` is what runs this file, so that one is only asked what it would do; `make
demo` is asked too, and the command it would run is then run.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.process import OURS, Server
from tests.support.raw import Client

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SCRIPT = str(Path(sys.executable).with_name("pronghorn"))
PROGRAMS = {"pronghorn": [SCRIPT], "python": [sys.executable], "pip": [sys.executable, "-m", "pip"]}
ENDS = {"--check-config", "--print-config", "--help", "migrate"}
"""With one of these words the command does not serve."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


LINES = [line for block in blocks("sh") for line in block.splitlines()]
COMMANDS = {line: shlex.split(line, comments=True) for line in LINES}
SERVERS = [
    line for line, words in COMMANDS.items() if ("pronghorn" in words) and not ENDS & set(words) and words[0] != "kill"
]
CHECKS = [line for line, words in COMMANDS.items() if ENDS & set(words)]
KILLS = [line for line, words in COMMANDS.items() if words[0] == "kill"]
OTHERS = ["make demo", "make test", "pip install ."]

FILES = {
    found[1]: block
    for language in ("python", "toml")
    for block in blocks(language)
    if (found := re.match(r"# (\S+)\n", block))
}


def in_a_test(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command to run and what it adds to the environment, with the port left to the kernel."""
    words = list(words)
    environ: dict[str, str] = {}
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        name, _, value = words.pop(0).partition("=")
        environ[name] = value
    if "PORT" in environ:
        environ["PORT"] = "0"
    else:
        environ["PRONGHORN_BIND"] = "127.0.0.1:0"
    return [*PROGRAMS[words[0]], *(re.sub(r"^([\d.]+):8000$", r"\1:0", word) for word in words[1:])], environ


def surroundings(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the server or of the `make` that may have started us."""
    ours = (*OURS, "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | extra


def serving(words: Sequence[str], folder: Path) -> Server:
    """A command of the README as a server process."""
    command, environ = in_a_test(words)
    return Server(folder, command=command, bind=(), **environ)


def run(words: Sequence[str], cwd: Path) -> str:
    """What a command that ends says; its exit status is 0."""
    result = subprocess.run(
        words, cwd=cwd, env=surroundings({}), capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(FILES["app.py"])
    return tmp_path


def test_every_line_is_run_below():
    assert [line for line in LINES if line not in {*SERVERS, *CHECKS, *KILLS}] == [
        line for line in LINES if " ".join(COMMANDS[line]) in OTHERS
    ]
    assert len(SERVERS) > 8
    assert len(KILLS) == 2
    assert set(FILES) == {"app.py", "serve.py", "test_app.py", "pronghorn.toml"}


@pytest.mark.parametrize("line", SERVERS)
def test_serving(folder, line):
    with serving(COMMANDS[line], folder) as server, Client(server.url) as client:
        assert client.get().body == b"Hello\n"
        assert server.stop() == 0


@pytest.mark.parametrize("line", CHECKS)
def test_asking(folder, line):
    words, _ = in_a_test(COMMANDS[line])
    assert run(words, folder)


def test_reloading_and_stopping(folder):
    with serving(["pronghorn", "--workers", "1", "--pid", "run.pid", "app:app"], folder) as server:
        server.said("is ready")
        reload, stop = KILLS
        run(["sh", "-c", reload], folder)
        server.ready(2)
        with Client(server.url) as client:
            assert client.get().body == b"Hello\n"
        run(["sh", "-c", stop], folder)
        assert server.wait() == 0


def test_the_settings_file(folder):
    (folder / "pronghorn.toml").write_text(FILES["pronghorn.toml"])
    run([SCRIPT, "--check-config"], folder)


def test_the_server_program(folder):
    (folder / "serve.py").write_text(FILES["serve.py"].replace(":8000", ":0"))
    with serving(["python", "serve.py"], folder) as server, Client(server.url) as client:
        assert client.get().body == b"Hello\n"
        assert server.stop() == 0


def test_the_test_program(folder):
    (folder / "test_app.py").write_text(FILES["test_app.py"])
    assert "1 passed" in run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_app.py"], folder)


def test_make_demo(tmp_path):
    recipe = run(["make", "--dry-run", "demo"], ROOT).splitlines()[-1]
    assert recipe == "cd examples && ../.venv/bin/pronghorn fake_insurance_api:app"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with serving(["pronghorn", recipe.split()[-1]], tmp_path / "examples") as server:
        with Client(server.url) as client:
            assert b"<form" in client.get().body
        assert server.stop() == 0


def test_make_test():
    assert (
        run(["make", "--dry-run", "test"], ROOT).splitlines()[-1]
        == ".venv/bin/python -m pytest -n 4 --dist worksteal tests"
    )


def test_installing():
    """Continuous integration builds and installs the wheel; here pip only finds out what it would install."""
    words = [*PROGRAMS["pip"], "install", "--dry-run", "--quiet", "--no-deps", "--no-build-isolation", "."]
    run([*words, "--disable-pip-version-check"], ROOT)


def test_links_lead_somewhere():
    for path in (ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            found = (path.parent / target).exists()
            assert found, f"{path.name} links to {target}"

"""Hooks are found, imported and checked before the server starts."""

from pathlib import Path

import pytest

from pronghorn.errors import SettingsError
from pronghorn.settings import Given, load, load_from, load_hooks
from pronghorn.settings.hooks import HOOKS

APP = Given("app", "app:app", "argument APP")
CONF = "gunicorn.conf.py"


def problems(place: Path, text: str) -> list[str]:
    (place / CONF).write_text(text)
    with pytest.raises(SettingsError) as caught:
        load([APP], {}, place)
    with pytest.raises(SettingsError) as again:
        load_hooks([APP], place)
    assert again.value.problems == caught.value.problems
    return list(caught.value.problems)


def hooks(place: Path, text: str):
    (place / CONF).write_text(text)
    found = load([APP], {}, place).hooks
    assert [hook.name for hook in load_hooks([APP], place)] == [hook.name for hook in found]
    return {hook.name: hook for hook in found}


@pytest.mark.parametrize("name", HOOKS)
def test_a_wrong_signature_is_named(tmp_path, name):
    call = f"{name}({', '.join(HOOKS[name].arguments)})"
    assert problems(tmp_path, f"\ndef {name}():\n    pass\n") == [
        f"{CONF}:2: {name}: it takes (), and is called as {call}"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def when_ready(a, b): ...", "it takes (a, b), and is called as when_ready(server)"),
        ("def when_ready(*, server): ...", "it takes (*, server), and is called as"),
        ("def post_request(worker): ...", "called as post_request(worker, req, environ, resp)"),
        ("def post_request(a, b, c, d, e): ...", "it takes (a, b, c, d, e), and"),
        ("async def when_ready(server): ...", "it is an async function, and nobody would await it"),
        ("when_ready = 3", "3 is no function; it is called as when_ready(server)"),
        (
            "when_ready = 'no_such_module_here.hook'",
            "'no_such_module_here.hook' cannot be imported: ModuleNotFoundError",
        ),
        ("when_ready = 'os.no_such_name'", "cannot be imported: AttributeError: module 'os' has no attribute"),
        ("when_ready = 'hook'", "'hook' cannot be imported: ValueError"),
        ("when_ready = 'os.sep'", "'/' is no function"),
    ],
)
def test_what_cannot_be_called_is_one_line(tmp_path, text, words):
    (line,) = problems(tmp_path, text)
    assert line.startswith(f"{CONF}:1: ")
    assert words in line


def test_all_of_them_are_told_at_once(tmp_path):
    (tmp_path / CONF).write_text("def when_ready(): ...\ndef pre_fork(): ...\nworkers = 'many'\n")
    with pytest.raises(SettingsError) as caught:
        load([APP], {}, tmp_path)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "text",
    [
        "def post_fork(server, worker, more=1): ...",
        "def post_fork(*arguments): ...",
        "def post_fork(server, worker, **more): ...",
        "import functools\ndef f(a, b, c): ...\npost_fork = functools.partial(f, 1)",
        "class C:\n    def __call__(self, server, worker): ...\npost_fork = C()",
        "class C:\n    def m(self, server, worker): ...\npost_fork = C().m",
        "post_fork = 'operator.eq'",
    ],
)
def test_whatever_can_be_called_so_is_a_hook(tmp_path, text):
    assert list(hooks(tmp_path, text)) == ["post_fork"]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_hook_after_a_request_may_take_fewer_arguments(tmp_path, count):
    names = ", ".join(["worker", "req", "environ", "resp"][:count])
    hook = hooks(tmp_path, f"def post_request({names}):\n    return [{names}]\n")["post_request"]
    assert hook.function(1, 2, 3, 4) == [1, 2, 3, 4][:count]


def test_a_hook_in_toml_is_told_where_it_belongs(tmp_path):
    (tmp_path / "pronghorn.toml").write_text('post_fork = "shop.hooks.post_fork"\n')
    with pytest.raises(SettingsError) as caught:
        load([APP], {}, tmp_path)
    assert caught.value.problems == (
        "pronghorn.toml:1: post_fork is a hook, and hooks are functions: give it in a Python file",
    )


def test_none_is_no_hook(tmp_path):
    assert hooks(tmp_path, "when_ready = None\nif False:\n    def pre_fork(): ...\n") == {}


def test_a_hook_of_a_module(tmp_path):
    (tmp_path / "hooks_of_a_module.py").write_text("def when_ready(server): ...\n")
    (hook,) = hooks(tmp_path, "when_ready = 'hooks_of_a_module.when_ready'").values()
    assert hook.function.__module__ == "hooks_of_a_module"


@pytest.mark.parametrize("name", [name for name, point in HOOKS.items() if point.never])
def test_what_is_never_called_is_told(tmp_path, name):
    (tmp_path / CONF).write_text(f"def {name}({', '.join(HOOKS[name].arguments)}): ...\n")
    result = load([APP], {}, tmp_path)
    assert result.hooks == ()
    assert list(result.warnings) == [f"{CONF}:1: {name} is never called: {HOOKS[name].never}"]


def test_a_program_gives_hooks(tmp_path):
    (tmp_path / CONF).write_text("def when_ready(server): ...\n")
    result = load_from("app:app", {}, tmp_path, when_ready=print, post_fork=lambda _server, _worker: None)
    assert {hook.name: hook.origin for hook in result.hooks} == {
        "when_ready": "run(when_ready=…)",
        "post_fork": "run(post_fork=…)",
    }
    with pytest.raises(SettingsError, match=r"run\(pre_fork=…\): pre_fork: it takes \(server\), and is called as"):
        load_from("app:app", {}, tmp_path, pre_fork=lambda server: server)


def test_the_page_has_the_table():
    page = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
    for name, point in HOOKS.items():
        call = f"`{name}({', '.join(point.arguments)})`"
        row = f"| {call} | {point.process.value} | {point.moment} | {point.raises} |"
        assert (row if not point.never else f"- {call}: {point.never}.") in page, row

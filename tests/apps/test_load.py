"""Finding the application, and the one line that says why it cannot be found."""

import os
import sys
from pathlib import Path

import pytest

from pronghorn.apps.load import enter_surroundings, load
from pronghorn.errors import AppLoadError
from pronghorn.options import AppOptions

MODULE = """
def app(environ, start_response):
    return [b"app"]

application = app

class Site:
    def __init__(self, name="none", debug=True):
        self.name, self.debug = name, debug

    def __call__(self, environ, start_response):
        return [self.name.encode()]

class holder:
    inner = Site("inner")

def create_app(name="default", debug=True):
    return Site(name, debug)

def broken_factory():
    return {}["config"]

def no_factory():
    return 42

def configured(config):
    return app

def optional(config=None):
    return app

async def asgi(scope, receive, send):
    pass

number = 5
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder whose modules can be imported, forgotten again afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    (tmp_path / "shop.py").write_text(MODULE)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def failure(spec):
    with pytest.raises(AppLoadError) as caught:
        load(spec)
    assert "\n" not in str(caught.value)
    assert repr(spec) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ("shop:app", b"app"),
        ("shop", b"app"),
        ("shop:holder.inner", b"inner"),
        ("shop:create_app()", b"default"),
        ("shop:create_app('prod', debug=False)", b"prod"),
        ('shop:create_app(name="named")', b"named"),
        ("shop:holder.inner.__class__('cls')", b"cls"),
    ],
)
@pytest.mark.usefixtures("place")
def test_finds(spec, answer):
    assert load(spec)({}, None) == [answer]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("shpo:app", "there is no module 'shpo'"),
        ("shpo:app", "did you mean 'shop'?"),
        ("nowhere.site:app", "there is no package 'nowhere'"),
        ("shop.py:app", "write the module, not the file: shop"),
        ("shop:ap", "'shop' has no attribute 'ap'; did you mean 'app'?"),
        ("shop:holder.iner", "'shop.holder' has no attribute 'iner'; did you mean 'inner'?"),
        ("shop:number", "of type 'int', which is not callable"),
        ("shop:no_factory()", "the factory returned an object of type 'int', which is not callable"),
        ("shop:number()", "of type 'int' and cannot be called"),
        ("shop:no_factory", "it takes no arguments; if it is a factory, write 'shop:no_factory()'"),
        (
            "shop:optional",
            (
                "it does not take (environ, start_response), so it is not WSGI; if it is a factory, write "
                "'shop:optional()'"
            ),
        ),
        ("shop:configured", "if it is a factory, write 'shop:configured(…)'"),
        ("./shop:app", "write the module, not a path: shop"),
        ("./web/shop.py:app", "write the module, not a path: web.shop"),
        ("../shop:app", "write the module, not a path: shop, with --chdir .."),
        (".shop:app", "write the module, not a path: shop"),
        ("web/shop:app", "write packages with dots, not slashes: web.shop"),
        ("/shop.py:app", "write the module, not the file: shop, with --chdir ../"),
        ("shop:asgi", "it takes three arguments as ASGI does"),
        ("shop:create_app(open)", "arguments must be literals"),
        ("shop:create_app(**{})", "arguments must be literals"),
        ("shop:create_app(", "is not an attribute or a call of one"),
        ("shop:app[0]", "is not an attribute or a call of one"),
        ("shop:", "write module:attribute"),
        (":app", "write module:attribute"),
    ],
)
@pytest.mark.usefixtures("place")
def test_one_clear_line_and_no_traceback(spec, words):
    error = failure(spec)
    assert words in str(error)
    assert error.trace == ""


@pytest.mark.usefixtures("place")
def test_a_factory_called_with_the_wrong_arguments_needs_no_traceback():
    error = failure("shop:create_app(colour=1)")
    assert "unexpected keyword argument 'colour'" in str(error)
    assert error.trace == ""


@pytest.mark.usefixtures("place")
def test_a_factory_that_raises_shows_its_own_frames_only():
    error = failure("shop:broken_factory()")
    assert "the factory raised KeyError: 'config'" in str(error)
    assert "in broken_factory" in error.trace
    assert "pronghorn" not in error.trace


@pytest.mark.parametrize(
    ("source", "last"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def app(:", "SyntaxError: invalid syntax"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
    ],
)
def test_an_import_that_raises_keeps_the_traceback_of_the_application(place, source, last):
    (place / "bad.py").write_text(f"{source}\n")
    error = failure("bad:app")
    assert last in str(error)
    assert last in error.trace
    assert "bad.py" in error.trace
    assert "importlib" not in error.trace
    assert "pronghorn" not in error.trace


def test_a_cause_is_kept_too(place):
    (place / "bad.py").write_text("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise OSError('deep') from e\n")
    error = failure("bad:app")
    assert "ZeroDivisionError" in error.trace
    assert "direct cause" in error.trace


def test_surroundings(place, monkeypatch):
    (place / "site").mkdir()
    (place / "lib").mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("FLAVOUR", "old")
    enter_surroundings(AppOptions(app="x", chdir="site", pythonpath=("lib",), raw_env=("FLAVOUR=new=er",)))
    assert sys.path[:2] == [str(place / "site"), str(place / "lib")]
    assert os.environ["FLAVOUR"] == "new=er"
    assert Path.cwd() == place / "site"


@pytest.mark.usefixtures("place")
def test_a_directory_that_does_not_exist():
    with pytest.raises(AppLoadError, match="chdir nowhere: No such file or directory"):
        enter_surroundings(AppOptions(app="x", chdir="nowhere"))

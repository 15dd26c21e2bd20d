"""Which application is meant, as `flask run` would have it (Flask's documentation, "Application Discovery")."""

import sys

import pytest

from pronghorn.dev.discover import default_in, find
from pronghorn.dev.local import is_local
from pronghorn.errors import AppLoadError

HEAD = "from flask import Flask\n"
WSGI = "def {}(environ, start_response): ...\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def make(place, files):
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


FOUND = [
    # the file, what is named, the application's name
    ({"hello.py": HEAD + "app = Flask('a'); other = Flask('b')"}, "hello", "a"),
    ({"hello.py": HEAD + "other = Flask('b'); application = Flask('a')"}, "hello", "a"),
    ({"hello.py": HEAD + "shop = Flask('a')"}, "hello", "a"),
    ({"hello.py": HEAD + "shop = Flask('a'); again = shop"}, "hello", "a"),
    ({"hello.py": HEAD + "app = None; shop = Flask('a')"}, "hello", "a"),
    ({"hello.py": HEAD + "def create_app(name='a'): return Flask(name)"}, "hello", "a"),
    ({"hello.py": HEAD + "def make_app(): return Flask('a')"}, "hello", "a"),
    ({"hello.py": HEAD + "shop = Flask('a'); app2 = Flask('b')"}, "hello:app2", "b"),
    ({"hello.py": HEAD + "def create_app(x='b'): return Flask(x)"}, "hello:create_app", "b"),
    ({"hello.py": HEAD + "def create_app(x='b'): return Flask(x)"}, "hello:create_app('c')", "c"),
    ({"hello.py": HEAD + "def create_app(x, *, y): return Flask(x + y)"}, "hello:create_app('c', y='d')", "cd"),
    ({"hello.py": HEAD + "app = Flask('a')"}, "hello.py", "a"),
    ({"hello.py": HEAD + "app = Flask('a')"}, "./hello.py:app", "a"),
    ({"src/hello.py": HEAD + "app = Flask('a')"}, "src/hello", "a"),
    ({"src/shop/__init__.py": "", "src/shop/web.py": HEAD + "app = Flask(__name__)"}, "src/shop/web.py", "shop.web"),
    ({"shop/__init__.py": "", "shop/web.py": HEAD + "app = Flask(__name__)"}, "shop.web", "shop.web"),
    ({"shop/__init__.py": HEAD + "app = Flask(__name__)"}, "shop", "shop"),
    ({"shop/__init__.py": HEAD + "import shop.app\ndef create_app(): return Flask('a')", "shop/app.py": ""},
     "shop", "a"),
    ({"hello.py": WSGI.format("app")}, "hello", "app"),
    ({"hello.py": WSGI.format("application")}, "hello", "application"),
    ({"hello.py": WSGI.format("serve")}, "hello:serve", "serve"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "named", "name"), FOUND)
def test_what_is_found(place, files, named, name):
    make(place, files)
    app = find(named)
    assert getattr(app, "import_name", None) or app.__name__ == name
    assert name in (getattr(app, "import_name", None), getattr(app, "__name__", None))


REFUSED = [
    ({"hello.py": HEAD + "one = Flask('a'); two = Flask('b')"}, "hello", "several Flask applications in it (one, two)"),
    ({"hello.py": "x = 1"}, "hello", "there is no application in it"),
    ({"hello.py": HEAD + "def create_app(name): return Flask(name)"}, "hello", "'create_app' needs arguments"),
    ({"hello.py": "x = 1"}, "hello:shop", "has no attribute 'shop'"),
    ({"hello.py": "import nothing_here"}, "hello", "No module named 'nothing_here'"),
    ({}, "hello", "there is no module 'hello'"),
    ({"hello.py": "def create_app(): raise TypeError('inside')"}, "hello", "the factory raised TypeError: inside"),
    ({"hello.py": "def create_app(): return 7"}, "hello", "the factory returned an object of type 'int'"),
]


@pytest.mark.parametrize(("files", "named", "why"), REFUSED)
def test_what_is_not_found(place, files, named, why):
    make(place, files)
    with pytest.raises(AppLoadError) as caught:
        find(named)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["app.py"], "app.py"),
        (["wsgi.py", "app.py"], "wsgi.py"),
        (["app/__init__.py"], "app.py"),
        (["app/other.py", "main.py"], ""),
    ],
)
def test_where_nothing_is_named(place, files, found):
    make(place, dict.fromkeys(files, HEAD + "app = Flask('a')"))
    assert default_in(place) == found
    if found:
        assert find(found).import_name == "a"


@pytest.mark.parametrize(
    ("environ", "local"),
    [
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}, True),
        ({"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"}, True),
        ({"REMOTE_ADDR": "127.0.0.2", "HTTP_HOST": "shop.localhost"}, True),
        ({"REMOTE_ADDR": "", "HTTP_HOST": "localhost"}, False),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1", "HTTP_HOST": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "localhost"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "attacker.example"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1.attacker.example"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "notlocalhost"}, False),
        ({"REMOTE_ADDR": "127.0.0.1"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "HTTP_X_FORWARDED_FOR": "::1, 127.0.0.1"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "HTTP_X_FORWARDED_FOR": ""}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost", "HTTP_FORWARDED": "for=127.0.0.1"}, False),
    ],
)
def test_who_is_on_this_machine(environ, local):
    assert is_local(environ) is local

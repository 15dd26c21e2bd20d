"""Headers that mean something only from a trusted proxy, and those whose names are not plain."""

import os

import pytest
from tests.support.apps import Recording
from tests.support.process import Server
from tests.support.raw import Client

from pronghorn.testing import serve

TRUSTED = {"forwarded_allow_ips": ("127.0.0.1",)}


def ask(*headers, target="/x", method="GET", **options):
    """Status, and the environ if the application was called."""
    app = Recording()
    with serve(app, **options) as url, Client(url) as client:
        answer = client.get(target, *headers, method=method)
    return answer.status, app.calls[0].environ if app.calls else None


def test_a_name_with_an_underscore_is_dropped_or_refused():
    status, environ = ask("X_Forwarded_For: 1.2.3.4", "A_B: c")
    assert (status, {"HTTP_A_B", "HTTP_X_FORWARDED_FOR"} & set(environ)) == (200, set())
    assert ask("A_B: c", header_map="refuse") == (400, None)
    assert ask("A-B: c", "Proxy: x", header_map="refuse")[0] == 200


def test_whom_header_map_refuses_may_still_send_forwarder_headers():
    options = {"header_map": "refuse", "forwarder_headers": ("REMOTE_USER",)}
    assert ask("REMOTE_USER: ada", **options, **TRUSTED)[1]["HTTP_REMOTE_USER"] == "ada"
    assert ask("REMOTE_USER: ada", **options)[0] == 400


@pytest.mark.parametrize("trust", [TRUSTED, {}], ids=["trusted", "anybody"])
def test_what_a_forwarder_header_sets_no_other_spelling_does(trust):
    options = {"forwarder_headers": ("REMOTE_USER", "SCRIPT_NAME"), **trust}
    for spelling in ("Remote-User: eve", "remote-user: eve", "Script-Name: /x"):
        _, environ = ask(spelling, **options)
        assert not {"HTTP_REMOTE_USER", "HTTP_SCRIPT_NAME"} & set(environ)
        assert environ["SCRIPT_NAME"] == ""
    _, environ = ask("remote_user: ada", "Remote-User: eve", **options)
    assert environ.get("HTTP_REMOTE_USER") == ("ada" if trust else None)


def test_a_forwarder_header_stands_once():
    options = {"forwarder_headers": ("REMOTE_USER",), **TRUSTED}
    assert ask("REMOTE_USER: ada", "REMOTE_USER: eve", **options) == (400, None)


@pytest.mark.parametrize(
    ("said", "target", "status", "path"),
    [
        ("/shop", "/shop/a", 200, "/a"),
        ("/shop", "/shop", 200, ""),
        ("/shop/", "/shop/a", 200, "/a"),
        ("/", "/a", 200, "/a"),
        ("/shop", "/shopping", 500, None),
        ("/shop", "/a", 500, None),
        ("shop", "/shop/a", 500, None),
        ("/a b", "/a%20b/c", 200, "/c"),
    ],
)
def test_where_a_trusted_proxy_says_the_application_stands(said, target, status, path):
    found, environ = ask(f"SCRIPT_NAME: {said}", target=target, **TRUSTED)
    assert found == status
    if environ is not None:
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (said.rstrip("/"), path)
        assert environ["RAW_URI"] == target


def test_nobody_else_says_where_it_stands():
    assert ask("SCRIPT_NAME: /x", target="/x/y")[1]["PATH_INFO"] == "/x/y"


def test_the_same_section_again_means_the_same():
    app = Recording()
    with serve(app, **TRUSTED) as url, Client(url) as client:
        for number in range(4):
            assert client.get(f"/shop/{number}", "SCRIPT_NAME: /shop").status == 200
        assert client.get("/other", "SCRIPT_NAME: /shop").status == 500
    assert [call.environ["PATH_INFO"] for call in app.calls] == ["/0", "/1", "/2", "/3"]


def test_options_of_the_server_itself_have_no_path():
    assert ask("SCRIPT_NAME: /shop", target="*", method="OPTIONS", **TRUSTED)[0] == 204


def test_the_headers_that_say_https():
    scheme = {"secure_scheme_headers": ("X-Scheme=tls",)}
    assert ask("X-Scheme: TLS", **scheme, **TRUSTED)[1]["wsgi.url_scheme"] == "https"
    assert ask("X-Scheme: plain", **scheme, **TRUSTED)[1]["wsgi.url_scheme"] == "http"
    assert ask("X-Forwarded-Proto: https", **scheme, **TRUSTED)[1]["wsgi.url_scheme"] == "http"
    _, environ = ask("X-Scheme: tls", **scheme)
    assert (environ["wsgi.url_scheme"], "HTTP_X_SCHEME" in environ) == ("http", False)
    assert ask("X-Forwarded-Proto: https", "X-Forwarded-Ssl: off", **TRUSTED) == (400, None)


def test_methods_in_upper_case_are_framed_as_they_were_sent():
    status, environ = ask(method="head", casefold_http_method=True)
    assert (status, environ["REQUEST_METHOD"]) == (200, "HEAD")
    assert ask(method="post", casefold_http_method=True)[1]["REQUEST_METHOD"] == "POST"
    assert ask(method="post")[1]["REQUEST_METHOD"] == "post"


APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]
"""


@pytest.mark.parametrize("how", ["the environment", "raw_env"])
def test_script_name_in_the_environment(tmp_path, how):
    (tmp_path / "shop.py").write_text(APPLICATION)
    environ, arguments = ({"SCRIPT_NAME": "/shop/"}, []) if how != "raw_env" else ({}, ["-e", "SCRIPT_NAME=/shop/"])
    with Server(tmp_path, "--workers", "1", *arguments, "shop:app", **environ) as server:
        assert server.get("/shop/a") == (200, "/shop|/a")
        assert server.get("/a")[0] == 500
    assert "SCRIPT_NAME" not in os.environ


def test_a_script_name_that_is_no_path_is_said_at_the_start(tmp_path):
    (tmp_path / "shop.py").write_text(APPLICATION)
    with Server(tmp_path, "--workers", "1", "shop:app", SCRIPT_NAME="shop") as server:
        server.said("environment SCRIPT_NAME: 'shop' is not a path; write /shop")
        assert server.wait() == 3


@pytest.mark.parametrize("protocol", ["http", "uwsgi"])
def test_a_worker_is_asked_whether_it_is_ready_in_its_own_protocol(tmp_path, protocol):
    (tmp_path / "shop.py").write_text(APPLICATION)
    arguments = ["--workers", "1", "--protocol", protocol, "--ready-path", "/ready"]
    with Server(tmp_path, *arguments, "shop:app") as server:
        server.ready(1)

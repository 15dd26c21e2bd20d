"""What `DevelopmentOptions` decide: reloads on change, and the debugger."""

from tests.settings.observers.registry import observes
from tests.settings.observers.shop import APPLICATION
from tests.support.raw import Client


@observes("reload", "reload_engine", "reload_extra_files")
def reload(start, place):
    server = start(reload=True, reload_engine="poll", reload_extra_files=["*.html"]).ready(1)
    server.said("reload_engine poll")
    (place / "shop.py").write_text(APPLICATION.replace("the other", "the next"))
    server.ready(2)
    (place / "new.html").write_text("")
    server.said("changed: new.html")


FLASK = """\
from flask import Flask
shop = Flask(__name__)
shop.get("/boom")(lambda: 1 / 0)
"""


@observes("debug")
def debug(start, place):
    (place / "shop.py").write_text(FLASK)
    with Client(start(wsgi_app="shop.py", debug=True).url) as client:
        client.send(b"GET /boom HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"__debugger__" in client.read_response().body


@observes("unsafe")
def unsafe(start, place):
    server = start(debug=True, bind="0.0.0.0:0")
    assert server.wait() == 2
    server.said("debug does not listen on 0.0.0.0:0")
    assert start("--check-config", debug=True, unsafe=True, bind="0.0.0.0:0").wait() == 0

"""What `AppOptions` decide: which application is loaded, and where."""

from tests.settings.observers.registry import observes


@observes("app")
def app(start, place):
    assert start(wsgi_app="shop:other").get() == (200, "the other")


@observes("chdir", "pythonpath")
def surroundings(start, place):
    for folder in ("web", "lib"):
        (place / folder).mkdir()
    (place / "lib" / "extra.py").write_text("")
    server = start(chdir="web", pythonpath=f"{place}/lib,{place}")
    assert server.get("/cwd")[1] == str(place / "web")
    assert server.get("/import?extra") == (200, "extra")


@observes("preload_app")
def preload_app(start, place):
    start(preload_app=True, workers=2).ready(2)
    assert (place / "imports").read_text() == "x"


@observes("raw_env")
def raw_env(start, place):
    assert start(raw_env=["COLOUR=red,blue"]).get("/environ?COLOUR") == (200, "red,blue")

"""`--reload` in a real server: ways to change a file, ways to break an application; and nothing is lost."""

import importlib.util
import os
import re
import signal
import time

import pytest
from tests.dev.conftest import APPLICATION
from tests.support.hooks import NOTING, Told
from tests.support.load import Load
from tests.support.raw import wait_for

ENGINES = ["poll", pytest.param("inotify", marks=pytest.mark.skipif(
    importlib.util.find_spec("watchfiles") is None, reason="watchfiles is not installed"))]  # fmt: skip


@pytest.fixture(scope="module", params=ENGINES)
def site(request, serve):
    def prepare(site):
        (site.folder / "real").mkdir()
        site.write("real/one.py", "")
        site.write("real/two.py", "")
        (site.folder / "link.py").symlink_to("real/one.py")
        site.write("app.py", "import link\n" + APPLICATION)
        site.write("templates/a/first.html", "")
        site.write("templates/note.txt", "")
        site.write("lazy.py", "")
        site.write("pronghorn.toml", 'reload_extra_files = ["templates/**/*.html", "later.ini"]\n')

    site = serve("--reload", "--reload-engine", request.param, "app:app", prepare=prepare)
    site.server.ready(1)
    assert f"reload_engine {request.param}" in site.server.text
    return site


def reloaded(site, before):
    wait_for(lambda: site.reloads > before, f"a reload\n{site.server.text}")
    wait_for(lambda: site.server.text.count("serves; the old workers") == site.reloads, "the reload to be done")


def test_a_save_shows_within_a_second(site):
    site.shows()
    begun = time.monotonic()
    site.helper()
    site.shows()
    assert time.monotonic() - begun < 5  # On a machine that has nothing else to do it is some 0.5 s.


def test_no_worker_keeps_the_old_code(serve):
    site = serve("--reload", "app:app", workers=3)
    site.server.ready(3)
    for _ in range(3):
        site.helper()
        site.shows()
        assert {site.ask().body for _ in range(20)} == {f"none {site.version}".encode()}
    # Three workers have seen three changes.
    assert site.reloads == 3


def atomic_rename(site):
    new = site.write(".helper.py.swp", f"VERSION = {site.version}\n")
    new.replace(site.folder / "helper.py")


def moved_aside(site):
    (site.folder / "helper.py").rename(site.folder / "helper.py~")
    site.write("helper.py", f"VERSION = {site.version}\n")


def deleted_and_made_again(site):
    (site.folder / "helper.py").unlink()
    assert site.ask().status == 200
    site.write("helper.py", f"VERSION = {site.version}\n")


def older_than_before(site):
    new = site.write("new.txt", f"VERSION = {site.version}\n")
    os.utime(new, (1e9, 1e9))
    new.replace(site.folder / "helper.py")


@pytest.mark.parametrize("save", [atomic_rename, moved_aside, deleted_and_made_again, older_than_before])
def test_ways_to_save(site, save):
    site.version += 1
    save(site)
    site.shows()


def test_a_burst_of_saves_is_one_change(site):
    site.shows()
    before = site.reloads
    for _ in range(20):
        site.helper()
    site.shows()
    assert site.reloads - before <= 2


def touch_helper(site):
    (site.folder / "helper.py").touch()


def behind_a_link(site):
    site.write("real/one.py", "x = 1\n")


def another_target(site):
    (site.folder / "new").symlink_to("real/two.py")
    (site.folder / "new").replace(site.folder / "link.py")


def imported_later(site):
    assert site.ask(target="/lazy").status == 200
    assert site.ask(target="/lazy").status == 200
    site.write("lazy.py", "x = 2\n")


def matched(site):
    site.write("templates/a/first.html", "new")


def newly_matched(site):
    site.write("templates/b/second.html", "new")


def that_was_not_there(site):
    site.write("later.ini", "x = 1\n")


OTHERS = [touch_helper, behind_a_link, another_target, imported_later, matched, newly_matched, that_was_not_there]


@pytest.mark.parametrize("change", OTHERS)
def test_files_that_count(site, change):
    site.shows()
    before = site.reloads
    change(site)
    reloaded(site, before)
    site.shows()


def test_files_that_do_not_count(site):
    site.shows()
    before = site.reloads
    site.write("templates/note.txt", "new")
    site.write("unrelated.py", "new")
    (site.folder / "lazy.py").unlink()
    site.helper()
    reloaded(site, before)
    site.shows()
    assert site.reloads == before + 1
    assert re.findall("changed: (.*)", site.server.text)[-1] == "helper.py"


BROKEN = {
    "a syntax error": ("x = (\n", "SyntaxError"),
    "an import error": ("import there_is_none\n", "ModuleNotFoundError: No module named"),
    "an exception": ("raise RuntimeError('<script>alert(1)</script>')\n", "RuntimeError: &lt;script&gt;"),
    "an exit": ("import sys; sys.exit('no')\n", "SystemExit: no"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_edit_is_shown_and_repaired(site, how):
    text, shown = BROKEN[how]
    site.helper(text)
    site.shows("helper.py", status=500)
    page = site.ask("Accept: text/html,*/*").body.decode()
    assert shown in page
    assert "<script" not in page
    site.server.said("every request is answered with that until a file changes")
    site.helper()
    site.shows()


def test_a_module_that_is_missing_may_come(site):
    name = f"missing_{site.version}"
    site.helper(f"import {name}\n")
    site.shows(f"No module named '{name}'", status=500)
    site.write(f"{name}.py", "")
    site.shows()


def test_broken_settings_change_nothing_until_they_are_right(site):
    settings = (site.folder / "pronghorn.toml").read_text()
    site.shows()
    site.write("pronghorn.toml", settings + 'raw_env = "RED"\n')
    site.server.said("reload failed: pronghorn.toml:2: raw_env")
    assert site.ask().status == 200
    site.write("pronghorn.toml", settings + 'raw_env = "COLOUR=blue"\n')
    site.shows(f"blue {site.version}")
    site.write("pronghorn.toml", settings)
    site.shows(f"none {site.version}")


def test_nothing_is_lost_under_load(site):
    with Load(site.server.url) as load:
        for _ in range(5):
            site.helper()
            site.shows()
    assert load.failures == [], site.server.text[-6000:]
    assert load.answered > 0


def test_hooks(serve):
    """`worker_int` in each worker that a change ends, as Gunicorn's reloader calls it; `on_reload` is for HUP."""
    site = serve("--reload", "app:app", workers=2, prepare=lambda site: site.write("gunicorn.conf.py", NOTING))
    told = Told(site.folder)
    old = site.server.ready(2).workers()
    site.helper()
    site.shows()
    for pid in old:
        # What it had accepted is answered between the two.
        life = [name for name, process, _ in told() if process == pid and not name.endswith("_request")]
        assert life[-2:] == ["worker_int", "worker_exit"]
    assert "on_reload" not in told.names()
    site.server.signal(signal.SIGHUP)
    site.server.said("generation 3 serves")
    site.shows()
    assert told.names().count("on_reload") == 1
    assert site.server.stop() == 0
    assert {pid for pid, _ in told.of("worker_int")} == old


def test_edits_of_the_same_size_in_the_same_second(serve):
    second = int(time.time()) + 20  # Not over before the test is, so that both imports happen "within" it.

    def save(site):
        site.helper()
        os.utime(site.folder / "helper.py", ns=(0, second * 10**9 + site.version))

    site = serve("--reload", "app:app", prepare=save, PYTHONDONTWRITEBYTECODE="")
    site.shows()
    save(site)
    site.shows()


def test_broken_from_the_start(serve):
    site = serve("--reload", "app:app", "--preload", prepare=lambda site: site.helper("import nothing"))
    site.server.said("--preload: preload_app is left out")
    site.shows("No module named 'nothing'", status=500)
    assert "is served" not in site.server.text
    site.server.said("ModuleNotFoundError: No module named 'nothing'")
    site.helper()
    site.shows()


def test_missing_from_the_start(serve):
    site = serve("--reload", "shop.site:app", "--ready-path", "/")
    site.shows("there is no", status=500)
    site.write("shop/site.py", APPLICATION)
    site.shows()


def test_an_edit_while_the_import_hangs(serve):
    site = serve("--reload", "app:app")
    site.shows()
    site.helper("import time; time.sleep(600)\n")
    site.server.said("reloading as generation 2")
    site.helper()
    site.shows()


def test_nobody_else_is_shown_why(serve):
    site = serve("--reload", "app:app", prepare=lambda site: site.helper("secret ="))
    site.shows("secret", status=500)
    for header in (
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-For: 127.0.0.1, 203.0.113.9",
        "Forwarded: for=203.0.113.9",
        "X-Real-IP: 203.0.113.9",
        "Host: attacker.example",
    ):
        answer = site.ask(header)
        assert answer.status == 500
        assert b"secret" not in answer.body
        assert b"log of the server" in answer.body
    assert b"secret" in site.ask("X-Forwarded-For: ::1").body
    assert site.ask().headers["cache-control"] == "no-store"


def test_without_reload_a_broken_application_ends_the_start(serve):
    site = serve("app:app", prepare=lambda site: site.helper("secret ="))
    assert site.server.wait() == 3


def test_it_stops_at_once(serve):
    site = serve("--reload", "app:app")
    site.server.ready(1)
    site.server.signal(signal.SIGINT)
    assert site.server.wait() == 0
    assert "Traceback" not in site.server.text

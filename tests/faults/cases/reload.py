"""Reloads: the code changes under load; and everything that can be wrong with the new code or the new settings."""

import contextlib
import functools
import signal
import socket
from collections.abc import Callable

from tests.faults.scene import BASE, Case, Scene, Watch
from tests.faults.servers import Loaded
from tests.support.raw import wait_for

LONGEST_PAUSE = 2.0
"""Seconds without one answer to any of two dozen visitors, of which each asks every 20 ms: nobody serves."""

SETTLED = 8.0
"""Seconds after which a server that says nothing about a failed reload has made up its mind."""


def reloads(scene: Scene) -> None:
    """HUP after HUP, each with another version of the code."""
    with scene.serve() as server, scene.load(server) as load:
        with Watch(lambda: len(server.crew())) as workers:
            for version in range(2, scene.rounds + 2):
                scene.release(version)
                scene.reload(server, f"HUP to version {version}")
        load.stop()
        tally = load.tally
        scene.claim_none_failed(tally)
        scene.claim("every version served", len(tally.versions) == scene.rounds + 1, tally.versions)
        scene.claim("never fewer workers than wanted", min(workers.seen) >= BASE["workers"], min(workers.seen))
        scene.claim("no pause", tally.longest_pause < LONGEST_PAUSE, tally.longest_pause)


def syntax_error(scene: Scene, server: Loaded, taken: int) -> None:
    """In a module that the application imports."""
    scene.release(0, "def broken(:")


def import_error(scene: Scene, server: Loaded, taken: int) -> None:
    """A dependency that was not installed."""
    scene.release(0, "import module_that_is_not_there")


def hanging_import(scene: Scene, server: Loaded, taken: int) -> None:
    """A database that does not answer."""
    scene.release(0, "import time; time.sleep(3600)")


def broken_settings(scene: Scene, server: Loaded, taken: int) -> None:
    """Neither TOML nor Python."""
    (server.folder / server.config).write_text("workers = = 3\n")


def address_in_use(scene: Scene, server: Loaded, taken: int) -> None:
    """One more address, which is somebody else's."""
    server.configure(scene.settings | {"bind": ["127.0.0.1:0", f"127.0.0.1:{taken}"]})


def unreadable_file(scene: Scene, server: Loaded, taken: int) -> None:
    """A folder where a file should be: the superuser reads every file."""
    path = scene.folder / "release.py"
    path.unlink()
    path.mkdir()


def mend(scene: Scene, server: Loaded, version: int) -> None:
    """A good version of everything."""
    path = scene.folder / "release.py"
    if path.is_dir():
        path.rmdir()
    server.configure(scene.settings)
    scene.release(version)


def broken_reload(spoil: Callable[[Scene, Loaded, int], None], scene: Scene) -> None:
    """A broken deploy, and then a good one; as often as there are rounds."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        scene.serve(boot_timeout=1) as server,
        scene.load(server) as load,
    ):
        good = 1
        for _ in range(scene.rounds):
            spoil(scene, server, taken.getsockname()[1])
            if not _survives(scene, server):
                break
            good += 1
            mend(scene, server, good)
            scene.reload(server, "the good HUP")
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("the last good version serves", str(scene.rounds + 1) in load.tally.versions, load.tally.versions)
        scene.claim("no broken version served", "0" not in load.tally.versions, load.tally.versions)


def _survives(scene: Scene, server: Loaded) -> bool:
    before, said = server.crew(), server.text.count(server.refusal)
    server.kill(signal.SIGHUP)
    if server.refusal:
        scene.eventually("the log says that the reload failed", lambda: server.text.count(server.refusal) > said)
        lines = server.text.count(server.refusal) - said
        scene.claim("one line says it", lines == 1, f"{lines} in\n{server.text[-1500:]}")
    else:
        # What tells the end of its attempt is only that the old workers left, or the server: give it time for that.
        with contextlib.suppress(AssertionError):
            wait_for(lambda: server.process.poll() is not None or not server.crew() & before, "", SETTLED)
    scene.claim("the server runs", server.process.poll() is None, server.text[-1500:])
    scene.claim("the old workers serve", server.crew() == before, server.text[-1500:])
    return server.process.poll() is None


BROKEN = {
    "a syntax error": syntax_error,
    "an import error": import_error,
    "an import that hangs (`boot_timeout` 1 s)": hanging_import,
    "a broken file of settings": broken_settings,
    "an address in use": address_in_use,
    "a file that cannot be read": unreadable_file,
}

RELOAD = (
    Case("reloads", "HUP, the code changing each time", reloads, short=3, long=50),
    *(
        Case(
            spoil.__name__,
            f"HUP with {what}, then a good one",
            functools.partial(broken_reload, spoil),
            short=1,
            long=3,
        )
        for what, spoil in BROKEN.items()
    ),
)

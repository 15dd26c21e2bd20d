"""Reloads: the code changes under load; and everything that can be wrong with the new code or the new settings."""

import signal
import socket
from collections.abc import Callable

from tests.faults.scene import BASE, Case, Scene, Watch
from tests.faults.servers import Loaded

LONGEST_PAUSE = 2.0
"""Seconds without one answer to any of two dozen visitors, of which each asks every 20 ms: nobody serves."""


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


def broken_reloads(scene: Scene) -> None:
    """Six broken deploys, each followed by one that is good."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        scene.serve(boot_timeout=1) as server,
        scene.load(server) as load,
    ):
        good = scene.settings
        breaks: dict[str, Callable[[], object]] = {
            "a syntax error": lambda: scene.release(0, "def broken(:"),
            "an import error": lambda: scene.release(0, "import module_that_is_not_there"),
            "an import that hangs": lambda: scene.release(0, "import time; time.sleep(3600)"),
            "a broken file of settings": lambda: (server.folder / server.config).write_text("workers = = 3\n"),
            "an address in use": lambda: server.configure(
                good | {"bind": ["127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"]}
            ),
            "a file that cannot be read": lambda: unreadable(scene),
        }
        names = list(breaks)[: scene.rounds]
        for number, name in enumerate(names):
            if not _break(scene, server, name, breaks[name], number):
                break
            mend(scene, server, good, number + 2)
            scene.reload(server, f"the good HUP after {name}")
        load.stop()
        scene.claim_none_failed(load.tally)
        last = str(len(names) + 1)
        scene.claim("the last good version serves", last in load.tally.versions, load.tally.versions)
        scene.claim("no broken version served", "0" not in load.tally.versions, load.tally.versions)


def _break(scene: Scene, server: Loaded, name: str, spoil: Callable[[], object], number: int) -> bool:
    before = server.crew()
    spoil()
    server.kill(signal.SIGHUP)
    told = scene.eventually(
        f"{name}: the log says so",
        lambda: server.text.count(server.refusal) > number or server.process.poll() is not None,
    )
    scene.claim(f"{name}: the server runs", server.process.poll() is None, server.text[-1500:])
    if server.process.poll() is None:
        scene.eventually(f"{name}: the old workers serve", lambda: server.crew() == before)
    count = server.text.count(server.refusal)
    scene.claim(f"{name}: one line says it", count == number + 1, f"{count - number} in\n{server.text[-1500:]}")
    return told and server.process.poll() is None


def unreadable(scene: Scene) -> None:
    """A folder where a file should be: the superuser reads every file."""
    path = scene.folder / "release.py"
    path.unlink()
    path.mkdir()


def mend(scene: Scene, server: Loaded, settings: dict[str, object], version: int) -> None:
    """A good version of everything."""
    path = scene.folder / "release.py"
    if path.is_dir():
        path.rmdir()
    server.configure(settings)
    scene.release(version)


RELOAD = (
    Case("reloads", "HUP, the code changing each time", reloads, short=3, long=50),
    Case("broken_reloads", "HUP with a broken deploy, then a good one", broken_reloads, short=6, long=6),
)

"""Upgrades in place: USR2 under load, also to something that does not start."""

import signal

from tests.faults.scene import Case, Scene
from tests.faults.servers import Loaded


def upgrades(scene: Scene) -> None:
    """USR2 after USR2; then one to a version that does not start, and one that mends it."""
    with scene.serve() as server, scene.load(server) as load:
        for version in range(2, scene.rounds + 2):
            scene.release(version)
            server.upgrade(scene.settings["workers"])
            scene.eventually("one arbiter is left", lambda: is_alone(scene, server))
        _upgrade_to_nothing(scene, server)
        last = scene.rounds + 2
        scene.release(last)
        server.upgrade(scene.settings["workers"])
        scene.eventually("one arbiter is left at the end", lambda: is_alone(scene, server))
        load.stop()
        scene.claim_none_failed(load.tally)
        scene.claim("the last version serves", str(last) in load.tally.versions, load.tally.versions)
        scene.claim("the broken version never served", "0" not in load.tally.versions, load.tally.versions)


def _upgrade_to_nothing(scene: Scene, server: Loaded) -> None:
    before, crew, imports = server.arbiter, server.crew(), len(server.diary("import"))
    scene.release(0, "raise RuntimeError('broken version')")
    server.kill(signal.SIGUSR2)
    scene.eventually("the broken version is tried", lambda: len(server.diary("import")) > imports)
    scene.eventually("it gives up", lambda: server.processes() == {before, *crew}, 30)
    scene.claim("the old arbiter serves on", server.arbiter == before, f"{server.arbiter} instead of {before}")


def is_alone(scene: Scene, server: Loaded) -> bool:
    """One arbiter with its workers, and nobody else."""
    return server.arbiters() == {server.arbiter} and len(server.crew()) == scene.settings["workers"]


UPGRADE = (Case("upgrades", "USR2, the code changing each time; one to a broken version", upgrades, short=2, long=20),)

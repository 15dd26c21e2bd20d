"""Says that it is ready by a file, as proxies in the same container wait for."""

import pathlib

READY = pathlib.Path("app-initialized")


def when_ready(server):
    READY.touch()
    server.log.info("hook when_ready")


def on_exit(server):
    READY.unlink()

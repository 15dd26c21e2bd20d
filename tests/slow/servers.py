"""The servers under attack: how each is started, with its defaults but for the limits on the number of clients."""

from bench.machine import PEER_BIN
from bench.servers import SERVERS, Launch, Server


def uvicorn(launch: Launch) -> list[str]:
    """The same application as ASGI: its own WSGI adapter is deprecated."""
    options = ["--host", "127.0.0.1", "--port", str(launch.port), "--log-level", "error", "--workers", "1"]
    return [str(PEER_BIN / "uvicorn"), *options, launch.app.partition(":")[0] + ":asgi"]


NAMES = ("pronghorn", "gunicorn-gthread", "granian", "waitress")

ATTACKED = {name: SERVERS[name] for name in NAMES} | {"uvicorn": Server("uvicorn", "uvicorn", uvicorn)}
"""By name; what is not installed is left out."""

APP = "bench.apps.attacked:app"


def of_class(name: str) -> Server:
    """Pronghorn with that worker class, and room for as many connections as it has with threads."""
    plain = ATTACKED["pronghorn"]

    def command(launch: Launch) -> list[str]:
        *words, app = plain.command(launch)
        return [*words, "--worker-class", name, "--worker-connections", str(launch.connections), app]

    return Server("pronghorn", plain.package, command) if name else plain

"""Proxies with a configuration of the test's own, above all the recipes of docs/deploying.md as they stand there."""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.proxies import HAPROXY, KINDS, NGINX, Ground, Kind, Proxy

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
STREAM = "libnginx-mod-stream"
PAGE = Path(__file__).parents[2] / "docs" / "deploying.md"


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skips a test where a package of Debian's with a proxy is not installed, and says so."""
    missing = [name for name in packages if not (STREAM_MODULE.exists() if name == STREAM else KINDS[name].program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed here: apt-get install {' '.join(missing)}")


def recipe(heading: str, language: str) -> str:
    """The block of code in this language under a heading of the page."""
    section = PAGE.read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"no {language} under {heading!r} in {PAGE}"
    return found[1]


def nginx(folder: Path, recipe: str, place: str, more: str = "") -> Proxy:
    """nginx as a recipe has it: in front of the server at `place`, with `more` in the block `http`."""

    def configuration(ground: Ground) -> str:
        body = adapted(recipe, ground, place)
        streams = body.startswith("stream ")
        module = f"load_module {STREAM_MODULE};\n" if streams else ""
        paths = "".join(f"{kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return (
            f"{module}daemon off;\nuser {'root' if os.geteuid() == 0 else 'nobody'};\nworker_processes 1;\npid pid;\n"
            "error_log error.log;\nevents { worker_connections 1024; }\n"
        ) + (body if streams else f"http {{\naccess_log off;\n{paths}{more}\n{body}}}\n")

    return in_front(NGINX, folder, configuration)


def haproxy(folder: Path, recipe: str, place: str, mode: str = "tcp") -> Proxy:
    """haproxy as a recipe has its backend `shop`: in front of the server at `place`."""

    def configuration(ground: Ground) -> str:
        return (
            f"defaults\n  mode {mode}\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
            f"frontend front\n  bind 127.0.0.1:{ground.port}\n  default_backend shop\n"
        ) + adapted(recipe, ground, place).replace("mode tcp", f"mode {mode}")

    return in_front(HAPROXY, folder, configuration)


def adapted(recipe: str, ground: Ground, place: str) -> str:
    """The recipe on the port of a test, for a server in another place."""
    text = recipe.replace("listen 80;", f"listen 127.0.0.1:{ground.port};")
    text = text.replace("include uwsgi_params;", "include /etc/nginx/uwsgi_params;")
    return re.sub(r"127\.0\.0\.1:8000|unix:/run/shop/web\.sock", place, text)


def in_front(kind: Kind, folder: Path, configuration: Callable[[Ground], str]) -> Proxy:
    """A proxy that is started when the block is entered, in a folder of its own."""
    return Proxy(replace(kind, configuration=configuration), Path(tempfile.mkdtemp(prefix="proxy-", dir=folder)), 0)

"""nginx and haproxy in front of a server, as the recipes of docs/deploying.md have them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.proxies import Proxy, find

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
STREAM = "libnginx-mod-stream"
PAGE = Path(__file__).parents[2] / "docs" / "deploying.md"


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skips a test where a package of Debian's with a proxy is not installed, and says so."""
    missing = [name for name in packages if not (STREAM_MODULE.exists() if name == STREAM else find(name))]
    return pytest.mark.skipif(bool(missing), reason=f"not installed here: apt-get install {' '.join(missing)}")


def recipe(heading: str, language: str) -> str:
    """The block of code in this language under a heading of docs/deploying.md."""
    section = PAGE.read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"no {language} under {heading!r} in {PAGE}"
    return found[1]


def nginx(folder: Path, recipe: str, place: str, more: str = "") -> Proxy:
    """nginx as a recipe has it: in front of the server at `place`, with `more` in the block `http`."""

    def command(own: Path, _fd: int, address: str) -> Sequence[str]:
        body = adapted(recipe, place).replace("listen 80;", f"listen {address};")
        module = f"load_module {STREAM_MODULE};\n" if body.startswith("stream ") else ""
        if not module:
            kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            paths = "".join(f"{kind}_temp_path {kind};\n" for kind in kinds)
            body = f"http {{\naccess_log off;\n{paths}{more}\n{body}}}\n"
        user = "root" if os.geteuid() == 0 else "nobody"
        (own / "nginx.conf").write_text(
            f"{module}daemon off;\nuser {user};\nworker_processes 1;\npid pid;\nerror_log stderr;\n"
            f"events {{ worker_connections 1024; }}\n{body}"
        )
        return [find("nginx") or "nginx", "-p", str(own), "-c", "nginx.conf", "-e", "stderr"]

    # The variable by which an old nginx hands its sockets to a new one.
    return Proxy(folder, command, lambda fd: {"NGINX": f"{fd};"})


def haproxy(folder: Path, recipe: str, place: str, mode: str = "tcp") -> Proxy:
    """haproxy as a recipe has its backend `shop`: in front of the server at `place`."""

    def command(own: Path, fd: int, _address: str) -> Sequence[str]:
        (own / "haproxy.cfg").write_text(
            f"defaults\n  mode {mode}\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
            f"frontend front\n  bind fd@{fd}\n  default_backend shop\n"
            + adapted(recipe, place).replace("mode tcp", f"mode {mode}")
        )
        return [find("haproxy") or "haproxy", "-db", "-f", "haproxy.cfg"]

    return Proxy(folder, command)


def adapted(recipe: str, place: str) -> str:
    """The recipe for a server in another place."""
    text = recipe.replace("include uwsgi_params;", "include /etc/nginx/uwsgi_params;")
    return re.sub(r"127\.0\.0\.1:8000|unix:/run/shop/web\.sock", place, text)

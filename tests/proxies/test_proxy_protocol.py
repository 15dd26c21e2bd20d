"""The PROXY protocol as proxies send it: haproxy in both versions, and nginx's `stream`."""

import pytest

from pronghorn.testing import serve
from tests.proxies.recipes import STREAM, haproxy, needs, nginx, recipe
from tests.support.apps import Recording
from tests.support.raw import Client

PROXIED = "haproxy, or nginx's `stream`, with the PROXY protocol"
BACKEND = recipe(PROXIED, "haproxy")
KINDS = {
    "send-proxy": "TCP4",
    "send-proxy-v2": "TCP4",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl": "TCP4",
}


def place_of(url):
    return url.removeprefix("http://")


@needs("haproxy")
@pytest.mark.parametrize("sends", KINDS)
@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_haproxy_says_who_the_client_is(tmp_path, sends, mode):
    app = Recording()
    with (
        serve(app, proxy_protocol="auto", proxy_allow_ips=("127.0.0.1",)) as url,
        haproxy(tmp_path, BACKEND.replace("send-proxy-v2", sends), place_of(url), mode) as proxy,
        Client(proxy.url) as client,
    ):
        port = str(client.socket.getsockname()[1])
        assert [client.get(f"/{number}").body for number in range(3)] == [b"/0", b"/1", b"/2"]
        for call in app.calls:
            said = {name: call.environ[name] for name in ("REMOTE_ADDR", "REMOTE_PORT", "PROXY_PROTOCOL", "PROXY_PORT")}
            assert said == {
                "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_PORT": port,
                "PROXY_PROTOCOL": KINDS[sends],
                "PROXY_PORT": str(proxy.address[1]),
            }


@needs("nginx", STREAM)
def test_nginx_says_who_the_client_is(tmp_path):
    app = Recording()
    with (
        serve(app, proxy_protocol="v1", proxy_allow_ips=("127.0.0.1",)) as url,
        nginx(tmp_path, recipe(PROXIED, "nginx"), place_of(url)) as proxy,
        Client(proxy.url) as client,
    ):
        port = str(client.socket.getsockname()[1])
        assert client.get("/x", method="POST", body=b"x" * 100_000).body == b"/x"
        assert client.get("/y").body == b"/y"
        assert {call.environ["REMOTE_PORT"] for call in app.calls} == {port}


@needs("haproxy")
def test_a_health_check_of_haproxy_is_a_request_of_its_own(tmp_path):
    app = Recording()
    with (
        serve(app, proxy_protocol="v2", proxy_allow_ips=("127.0.0.1",)) as url,
        haproxy(
            tmp_path, f"{BACKEND.rstrip()} check inter 50ms\n    option httpchk GET /health\n", place_of(url)
        ) as proxy,
        Client(proxy.url) as client,
    ):
        while not any(call.target == "/health" for call in app.calls):
            assert client.get("/x").status == 200
        (health, *_) = [call for call in app.calls if call.target == "/health"]
        assert (health.environ["PROXY_PROTOCOL"], health.environ["REMOTE_ADDR"]) == ("LOCAL", "127.0.0.1")

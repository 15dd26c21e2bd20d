"""The PROXY protocol as proxies send it: haproxy in both versions, and nginx's `stream`."""

import pytest
from tests.support.apps import Recording
from tests.support.proxies import STREAM, haproxy, needs, nginx
from tests.support.raw import Client

from pronghorn.testing import serve

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
        haproxy(tmp_path, mode=mode, backend=f"{place_of(url)} {sends}") as proxy,
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
        nginx(tmp_path, stream=f"server {{ LISTEN proxy_pass {place_of(url)}; proxy_protocol on; }}") as proxy,
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
            tmp_path, backend=f"{place_of(url)} send-proxy-v2 check inter 50ms\n  option httpchk GET /health"
        ) as proxy,
        Client(proxy.url) as client,
    ):
        while not any(call.target == "/health" for call in app.calls):
            assert client.get("/x").status == 200
        (health, *_) = [call for call in app.calls if call.target == "/health"]
        assert (health.environ["PROXY_PROTOCOL"], health.environ["REMOTE_ADDR"]) == ("LOCAL", "127.0.0.1")

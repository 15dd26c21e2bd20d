"""What `TrustOptions` decide: which peers and headers are believed."""

from tests.settings.observers.registry import observes
from tests.support.raw import Client


@observes("forwarded_allow_ips")
def forwarded_allow_ips(start, place):
    for allowed, scheme in (("10.9.9.9", b"http"), ("127.0.0.1,10.0.0.0/8", b"https"), ("*", b"https")):
        with Client(start(forwarded_allow_ips=allowed).url) as client:
            assert client.get("/scheme", "X-Forwarded-Proto: https").body == scheme


@observes("secure_scheme_headers")
def secure_scheme_headers(start, place):
    with Client(start(secure_scheme_headers={"X-SCHEME": "tls"}).url) as client:
        assert client.get("/scheme", "X-Scheme: tls").body == b"https"
        assert client.get("/scheme", "X-Forwarded-Proto: https").body == b"http"


@observes("forwarder_headers")
def forwarder_headers(start, place):
    with Client(start(forwarder_headers="SCRIPT_NAME,REMOTE_USER").url) as client:
        assert client.get("/shop/of?PATH_INFO", "SCRIPT_NAME: /shop").body == b"/of"
        assert client.get("/of?HTTP_REMOTE_USER", "REMOTE_USER: ada", "Remote-User: eve").body == b"ada"
        assert client.get("/of?HTTP_PATH_INFO", "PATH_INFO: /x").body == b"None"


@observes("header_map")
def header_map(start, place):
    for value, status in (("drop", 200), ("refuse", 400)):
        with Client(start(header_map=value).url) as client:
            assert client.get("/of?HTTP_A_B", "A_B: c").status == status


@observes("proxy_protocol", "proxy_allow_ips")
def proxy_protocol(start, place):
    line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    for mode, allowed, status in (
        ("off", "127.0.0.1", 400), (True, "127.0.0.1", 200), ("v1", "10.0.0.0/8", 400), ("auto", "127.0.0.0/8", 200),
    ):  # fmt: skip
        with Client(start(proxy_protocol=mode, proxy_allow_ips=allowed).url) as client:
            client.send(line)
            assert client.get("/of?REMOTE_ADDR").status == status

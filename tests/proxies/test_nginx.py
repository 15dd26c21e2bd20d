"""Behind a real nginx, by `proxy_pass` over TCP and over a unix socket and by `uwsgi_pass`: what people have there."""

import hashlib
import signal
import threading

import pytest

from tests.proxies.recipes import needs, nginx, recipe
from tests.support.process import Server
from tests.support.raw import Client, wait_for

flask = pytest.importorskip("flask")
pytestmark = needs("nginx")

MIB = 1 << 20

APPLICATION = """
import hashlib, os, time
import flask

app = flask.Flask(__name__)

@app.post("/upload")
def upload():
    file = flask.request.files["file"]
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return {"name": file.filename, "digest": digest.hexdigest()}

@app.post("/raw")
def raw():
    return {"length": flask.request.content_length, "digest": hashlib.sha256(flask.request.get_data()).hexdigest()}

@app.get("/stream")
def stream():
    def parts():
        for number in range(3):
            yield f"part {number}\\n"
            while not os.path.exists(f"seen-{number}"):
                time.sleep(0.01)
    return flask.Response(parts(), mimetype="text/plain")

@app.get("/cut")
def cut():
    def parts():
        yield "begun"
        raise RuntimeError("on purpose")
    return flask.Response(parts(), mimetype="text/plain")

@app.route("/who", methods=["GET", "HEAD"])
def who():
    environ = flask.request.environ
    names = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST", "SERVER_PROTOCOL", "QUERY_STRING", "PATH_INFO", "SCRIPT_NAME",
             "wsgi.url_scheme", "HTTP_X_FORWARDED_FOR", "HTTP_PROXY")
    return {name: environ.get(name) for name in names} | {"pid": os.getpid(), "url": flask.request.url}
"""

MORE = "client_max_body_size 100m; keepalive_requests 1000000;"
WAYS = {
    "tcp": ("http", "tcp", "threads"),
    "unix": ("http", "unix", "threads"),
    "uwsgi": ("uwsgi", "tcp", "threads"),
    "uwsgi-unix": ("uwsgi", "unix", "threads"),
    "uwsgi-gevent": ("uwsgi", "tcp", "gevent"),
}
HEADINGS = {"http": "nginx, by HTTP", "uwsgi": "nginx, by uwsgi"}


class Shop:
    """The application, the server and nginx before it."""

    def __init__(self, server, proxy, folder, way):
        self.server, self.proxy, self.folder = server, proxy, folder
        self.protocol, self.family, _ = way


@pytest.fixture(scope="module", params=WAYS)
def shop(request, tmp_path_factory):
    protocol, family, worker_class = WAYS[request.param]
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APPLICATION)
    bind = "127.0.0.1:0" if family == "tcp" else f"unix:{folder}/shop.sock"
    # With uwsgi the clients of this test would themselves be at an address that is trusted.
    trusted = "10.9.9.9" if protocol == "uwsgi" else "127.0.0.1"
    arguments = ["--workers", "1", "--worker-class", worker_class, "--protocol", protocol]
    with Server(folder, *arguments, "--forwarded-allow-ips", trusted, "shop:app", bind=[bind]) as server:
        server.ready(1)
        place = "{}:{}".format(*server.address) if family == "tcp" else bind
        with nginx(folder, recipe(HEADINGS[protocol], "nginx"), place, MORE) as proxy:
            yield Shop(server, proxy, folder, WAYS[request.param])


def test_an_upload_of_50_mib(shop):
    content = bytes(range(256)) * (50 * MIB // 256)
    digest = hashlib.sha256(content).hexdigest()
    body = (
        b'--part\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
        + content + b"\r\n--part--\r\n"
    )  # fmt: skip
    with Client(shop.proxy.url) as client:
        found = client.get("/upload", "Content-Type: multipart/form-data; boundary=part", method="POST", body=body)
        assert found.status == 200, found
        assert found.body.decode().strip() == f'{{"digest":"{digest}","name":"large.bin"}}'


def test_a_chunked_upload(shop):
    with Client(shop.proxy.url) as client:
        client.request("/raw", "Transfer-Encoding: chunked", "Content-Type: application/octet-stream", method="POST")
        client.send(b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(100)) + b"0\r\n\r\n")
        digest = hashlib.sha256(b"x" * 102400).hexdigest()
        response = client.read_response()
        assert (response.status, response.body.decode().strip()) == (200, f'{{"digest":"{digest}","length":102400}}')


def test_expect_is_nginxs_business(shop):
    with Client(shop.proxy.url) as client:
        client.request("/raw", "Content-Length: 5", "Expect: 100-continue", method="POST")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        assert client.read_response().status == 200


def test_a_stream_arrives_piece_by_piece(shop):
    for number in range(3):
        (shop.folder / f"seen-{number}").unlink(missing_ok=True)
    with Client(shop.proxy.url) as client:
        client.request("/stream")
        client.read_until(b"\r\n\r\n")
        for number in range(3):
            client.read_until(b"part %d\n" % number)
            (shop.folder / f"seen-{number}").touch()


def test_a_response_that_breaks_off_is_not_taken_for_whole(shop):
    if (shop.protocol, shop.family) == ("uwsgi", "unix"):
        pytest.skip("a unix socket has no reset: nothing can tell nginx")
    with Client(shop.proxy.url) as client:
        client.request("/cut")
        with pytest.raises((ConnectionError, ValueError, AssertionError)):
            client.read_response()


def test_who_asks(shop):
    with Client(shop.proxy.url) as client:
        port = client.socket.getsockname()[1]
        found = client.get("/who?a=b%20c", "Proxy: evil", "X-Forwarded-Proto: https")
        said = flask.json.loads(found.body)
        assert client.get("/who", method="HEAD").headers["content-length"].isdigit()
    assert said["HTTP_PROXY"] is None
    assert (said["QUERY_STRING"], said["PATH_INFO"], said["SCRIPT_NAME"]) == ("a=b%20c", "/who", "")
    assert (said["wsgi.url_scheme"], said["SERVER_PROTOCOL"], said["HTTP_HOST"]) == ("http", "HTTP/1.1", "test")
    if shop.protocol == "uwsgi":
        assert (said["REMOTE_ADDR"], said["REMOTE_PORT"]) == ("127.0.0.1", str(port))
    else:
        assert said["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"


def test_nginx_keeps_its_connection(shop):
    if shop.protocol == "uwsgi":
        pytest.skip("nginx opens one for each request")
    with Client(shop.proxy.url) as client:
        asked = [flask.json.loads(client.get("/who").body) for _ in range(5)]
    assert len({said["REMOTE_PORT"] for said in asked}) == 1


def test_a_reload_under_load_costs_nobody_a_request(shop):
    """nginx repeats no POST that it has begun to send: each that fails would be a 502."""
    before = shop.server.workers()
    stop = threading.Event()
    counted, failed = [], []

    def ask():
        try:
            with Client(shop.proxy.url) as client:
                while not stop.is_set():
                    for method, target, body in (("GET", "/who", b""), ("POST", "/raw", b"x" * 1000)):
                        status = client.get(target, method=method, body=body).status
                        (counted if status == 200 else failed).append(status)
        except OSError as error:
            failed.append(error)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    wait_for(lambda: len(counted) > 20, "requests before it reloads")
    shop.server.signal(signal.SIGHUP)
    wait_for(lambda: not (shop.server.workers() & before), f"a new worker\n{shop.server.text}")
    begun = len(counted)
    wait_for(lambda: failed or len(counted) > begun + 20, "requests after it has")
    stop.set()
    for client in clients:
        client.join()
    assert not failed, f"{len(failed)} of {len(counted)}: {failed[:5]}\n{shop.proxy.text}\n{shop.server.text}"

"""A Flask application, end to end."""

import io

import pytest
from tests.support.raw import Client

from pronghorn.testing import serve

flask = pytest.importorskip("flask")

LARGE = bytes(range(256)) * 20_000


def make_app(folder):  # noqa: C901 - a list of small views
    app = flask.Flask(__name__)
    app.secret_key = "for tests only"  # noqa: S105

    @app.get("/")
    def index():
        return "hello"

    @app.get("/count")
    def count():
        flask.session["n"] = flask.session.get("n", 0) + 1
        return str(flask.session["n"])

    @app.get("/stream")
    def stream():
        def rows():
            for number in range(100):
                yield f"{number},{flask.request.args['tag']}\n"

        return flask.Response(flask.stream_with_context(rows()), mimetype="text/csv")

    @app.post("/upload")
    def upload():
        file = flask.request.files["file"]
        data = file.read()
        return {"name": file.filename, "size": len(data), "same": data == LARGE, "note": flask.request.form["note"]}

    @app.get("/file")
    def file():
        return flask.send_file(folder / "large.bin", conditional=True)

    @app.get("/memory")
    def memory():
        return flask.send_file(io.BytesIO(LARGE), mimetype="application/octet-stream")

    @app.post("/json")
    def json():
        return flask.request.get_json()

    @app.get("/error")
    def error():
        raise ValueError("broken view")

    @app.get("/teapot")
    def teapot():
        flask.abort(418)

    @app.get("/redirect")
    def redirect():
        return flask.redirect(flask.url_for("count"))

    @app.get("/address")
    def address():
        return f"{flask.request.remote_addr} {flask.request.url}"

    @app.route("/empty", methods=["GET", "DELETE"])
    def empty():
        return "", 204

    return app


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flask")
    (folder / "large.bin").write_bytes(LARGE)
    with serve(make_app(folder)) as url:
        yield url


def test_hello(client):
    response = client.get()
    assert (response.status, response.body, response.headers["content-length"]) == (200, b"hello", "5")
    assert not response.closes


def test_session(check_session):
    check_session()


def test_stream(client):
    for tag in ("a", "b"):
        response = client.get(f"/stream?tag={tag}")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body.decode().splitlines() == [f"{number},{tag}" for number in range(100)]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload(client, chunked):
    boundary = b"boundary-of-the-test"
    body = b'--%b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n' % boundary
    body += b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n' % boundary
    body += b"Content-Type: application/octet-stream\r\n\r\n" + LARGE + b"\r\n--%b--\r\n" % boundary
    content_type = f"Content-Type: multipart/form-data; boundary={boundary.decode()}"
    if chunked:
        client.request("/upload", content_type, "Transfer-Encoding: chunked", method="POST")
        for at in range(0, len(body), 100_003):
            client.send(b"%x\r\n%b\r\n" % (len(body[at : at + 100_003]), body[at : at + 100_003]))
        client.send(b"0\r\n\r\n")
        response = client.read_response()
    else:
        response = client.get("/upload", content_type, method="POST", body=body)
    assert flask.json.loads(response.body) == {"name": "a.bin", "size": len(LARGE), "same": True, "note": "hi"}


def test_send_file(client):
    response = client.get("/file")
    assert response.body == LARGE
    assert response.headers["content-length"] == str(len(LARGE))
    again = client.get("/file", f"If-None-Match: {response.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    part = client.get("/file", "Range: bytes=1000-1999")
    assert (part.status, part.body) == (206, LARGE[1000:2000])
    assert client.get("/file", method="HEAD").headers["content-length"] == str(len(LARGE))
    assert client.get("/memory").body == LARGE


def test_json(client):
    body = b'{"age": 30, "name": "zo\xc3\xab"}'
    response = client.get("/json", "Content-Type: application/json", method="POST", body=body)
    assert flask.json.loads(response.body) == {"age": 30, "name": "zo\xeb"}
    assert client.get("/json", "Content-Type: application/json", method="POST", body=b"{").status == 400


def test_errors(client, caplog):
    response = client.get("/error")
    assert response.status == 500
    assert b"broken view" not in response.body
    assert client.get("/teapot").status == 418
    assert client.get("/missing").status == 404
    assert client.get("/json").status == 405
    assert client.get().body == b"hello"


def test_redirect_and_addresses(client, url):
    response = client.get("/redirect")
    assert (response.status, response.headers["location"]) == (302, "/count")
    assert client.get("/address?a=b%20c").body == b"127.0.0.1 http://test/address?a=b%20c"
    assert client.get("/empty").status == 204
    assert client.get("/empty", method="DELETE").status == 204


def test_debug_errors_are_raised_through(tmp_path, caplog):
    """With PROPAGATE_EXCEPTIONS the view's error comes to the server, which logs it and answers 500."""
    app = make_app(tmp_path)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with serve(app) as url, Client(url) as client:
        assert client.get("/error").status == 500
    assert "ValueError: broken view" in caplog.text

"""A Django application, end to end."""

import json

import pytest

from pronghorn.testing import serve

pytest.importorskip("django")

from tests.apps.django_site import LARGE, make_app


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serve(make_app(tmp_path_factory.mktemp("django"))) as url:
        yield url


def test_hello(client):
    response = client.get()
    assert (response.status, response.body) == (200, b"hello")
    assert not response.closes


def test_session(check_session):
    check_session()


def test_stream(client):
    for _ in range(2):
        response = client.get("/stream")
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.body.decode().split() == [str(number) for number in range(100)]


def test_upload(client):
    body = b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
    body += b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + LARGE + b"\r\n--B--\r\n"
    response = client.get("/upload", "Content-Type: multipart/form-data; boundary=B", method="POST", body=body)
    assert json.loads(response.body) == {"name": "a.bin", "size": len(LARGE), "same": True, "note": "hi"}


def test_file_response(client):
    for _ in range(2):
        response = client.get("/large")
        assert response.body == LARGE
        assert response.headers["content-length"] == str(len(LARGE))


def test_body(client):
    assert client.get("/body", method="POST", body=LARGE).body == LARGE


def test_body_in_chunks(client):
    """Django reads CONTENT_LENGTH bytes and nothing where there is none: a chunked body needs its length told."""
    client.send(b"POST /body HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert client.read_response().body == b"hello"


def test_error(client, caplog):
    response = client.get("/error")
    assert response.status == 500
    assert b"broken view" not in response.body
    assert client.get("/missing").status == 404
    assert client.get().body == b"hello"


def test_a_header_that_is_a_subclass_of_str(client):
    """Django's mark_safe gives a SafeString, and HttpResponse passes it on."""
    response = client.get("/safe")
    assert (response.status, response.headers["x-safe"]) == (200, "safe")


def test_address(client):
    assert client.get("/address/zo%C3%AB?a=b").body == b"http://test/address/zo%C3%AB?a=b"

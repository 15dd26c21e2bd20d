"""The call itself: start_response, write(), exc_info, file_wrapper (PEP 3333, "Specification Details")."""

import contextlib
import io
import os
import sys

import pytest
from tests.support.raw import Client

from pronghorn.testing import serve


def served(app, *requests):
    """The responses to some requests on one connection."""
    with serve(app) as url, Client(url) as client:
        return [client.get(*request) for request in requests or [()]]


def failure():
    """The exc_info of an error."""
    try:
        int("x")
    except ValueError:
        return sys.exc_info()


# The head, and the imperative way to send a body


def test_write_sends_before_the_body():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    assert [response.body for response in served(app, (), ())] == [b"one two three"] * 2


def test_what_is_written_leaves_at_once():
    """PEP 3333: write() must not return before the bytes are on their way."""
    import threading

    seen = threading.Event()

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"first")
        assert seen.wait(10)
        return [b"second"]

    with serve(app) as url, Client(url) as client:
        client.request()
        client.read_until(b"first")
        seen.set()
        client.read_until(b"second")


def test_each_piece_of_a_generator_leaves_before_the_next_is_made():
    import threading

    seen = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        assert seen.wait(10)
        yield b"second"

    with serve(app) as url, Client(url) as client:
        client.request()
        client.read_until(b"first")
        seen.set()
        client.read_until(b"second\r\n0\r\n\r\n")


def test_write_with_a_length():
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "5")])
        write(b"hello")
        return []

    assert [response.body for response in served(app, (), ())] == [b"hello"] * 2


def test_write_needs_bytes(caplog):
    def app(environ, start_response):
        start_response("200 OK", [])("text")
        return []

    with serve(app) as url, Client(url) as client:
        client.request()
        with contextlib.suppress(ConnectionError):
            assert client.read_response().status == 500
    assert "TypeError" in caplog.text


def test_a_factory_in_the_place_of_the_application_is_told_from_one(caplog):
    def create_app(config=None, debug=False):  # noqa: FBT002 - as they are
        return served

    with serve(create_app) as url, Client(url) as client:
        client.request()
        assert client.read_response().status == 500
    assert "a callable of type 'function'; if it is a factory, name its call, as in 'app:create_app()'" in caplog.text


def test_a_lazy_start_response():
    def app(environ, start_response):
        start_response("201 Created", [("X-Late", "yes")])
        yield b""
        yield b"late"

    response = served(app)[0]
    assert (response.status, response.headers["x-late"], response.body) == (201, "yes", b"late")


def test_headers_wait_for_the_first_bytes():
    """An empty piece sends no head, so that an error after it can still be told (PEP 3333, "Buffering")."""

    def app(environ, start_response):
        start_response("200 OK", [("X-First", "yes")])
        yield b""
        start_response("500 Internal Server Error", [("X-Second", "yes")], failure())
        yield b"replaced"

    response = served(app)[0]
    assert (response.status, response.body) == (500, b"replaced")
    assert "x-first" not in response.headers


def test_no_start_response_is_an_error(caplog):
    def app(environ, start_response):
        return [b"no head"]

    response = served(app)[0]
    assert response.status == 500
    assert b"no head" not in response.body
    assert caplog.text


def test_two_start_responses_are_an_error(caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b"ok"]

    assert served(app)[0].status == 500


def test_the_headers_list_may_change_until_they_are_sent():
    """Middleware keeps the list and changes it."""

    def app(environ, start_response):
        headers = [("X-A", "1")]
        start_response("200 OK", headers)
        return [b"ok"]

    responses = served(app, (), ())
    assert [response.headers["x-a"] for response in responses] == ["1", "1"]


def test_a_call_that_returns_something_that_is_not_iterable(caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        return 5

    assert served(app)[0].status == 500


def test_subclasses_of_str_and_list():
    class Text(str):
        __slots__ = ()

    def app(environ, start_response):
        start_response(Text("200 OK"), [(Text("X-A"), Text("b"))])
        return [b"ok"]

    assert served(app)[0].headers["x-a"] == "b"


# exc_info


def test_rule_74_exc_info_before_the_head_replaces_it():
    def app(environ, start_response):
        start_response("200 OK", [("X-First", "yes")])
        start_response("503 Service Unavailable", [("X-Second", "yes")], failure())
        return [b"replaced"]

    response = served(app)[0]
    assert (response.status, response.body) == (503, b"replaced")
    assert "x-first" not in response.headers
    assert response.headers["x-second"] == "yes"


def test_rule_74_exc_info_after_the_head_is_raised_again(caplog):
    raised = []

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"sent"
        try:
            start_response("500 Internal Server Error", [], failure())
        except ValueError as error:
            raised.append(error)
            raise

    with serve(app) as url, Client(url) as client:
        client.request()
        with pytest.raises(ConnectionError):
            client.read_response()
    assert len(raised) == 1


def test_rule_74_exc_info_after_write_is_raised_again(caplog):
    def app(environ, start_response):
        start_response("200 OK", [])(b"sent")
        start_response("500 Internal Server Error", [], failure())
        return []

    with serve(app) as url, Client(url) as client:
        client.request()
        with pytest.raises(ConnectionError):
            client.read_response()
    assert "ValueError" in caplog.text


# file_wrapper


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    return path


def wrapping(make, headers=(), block_size=None):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        wrapper = environ["wsgi.file_wrapper"]
        return wrapper(make()) if block_size is None else wrapper(make(), block_size)

    return app


@pytest.mark.parametrize("block_size", [None, 1000])
@pytest.mark.parametrize("offset", [0, 1, 4096, 299_999, 300_000])
def test_a_real_file_from_its_position(file, offset, block_size):
    handles = []

    def make():
        handle = file.open("rb")
        handle.seek(offset)
        handles.append(handle)
        return handle

    responses = served(wrapping(make, block_size=block_size), (), ())
    assert [response.body for response in responses] == [file.read_bytes()[offset:]] * 2
    assert all(handle.closed for handle in handles)


def test_a_real_file_after_a_buffered_read(file):
    """The buffer of a BufferedReader runs ahead of the descriptor's own position."""

    def make():
        handle = file.open("rb")
        handle.read(10)
        return handle

    assert served(wrapping(make))[0].body == file.read_bytes()[10:]


def test_an_unbuffered_file(file):
    def make():
        handle = file.open("rb", buffering=0)
        handle.read(10)
        return handle

    assert served(wrapping(make))[0].body == file.read_bytes()[10:]


def test_a_file_gets_its_length(file):
    response = served(wrapping(lambda: file.open("rb")))[0]
    assert response.headers.get("content-length") == "300000"


@pytest.mark.parametrize("length", [0, 1, 1000, 300_000])
def test_a_file_is_cut_at_the_applications_length(file, length):
    """A range response: the application says the length, the file has more."""
    app = wrapping(lambda: file.open("rb"), [("Content-Length", str(length))])
    responses = served(app, (), ())
    assert [response.body for response in responses] == [file.read_bytes()[:length]] * 2


def test_a_file_that_is_shorter_than_said(file):
    with serve(wrapping(lambda: file.open("rb"), [("Content-Length", "300001")])) as url, Client(url) as client:
        client.request()
        try:
            response = client.read_response()
        except ConnectionError:
            return
        assert response.status == 500


def test_an_empty_file(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    responses = served(wrapping(lambda: (tmp_path / "empty").open("rb")), (), ())
    assert [response.body for response in responses] == [b"", b""]


@pytest.mark.parametrize("block_size", [None, 1000])
def test_anything_with_read(block_size):
    data = os.urandom(100_000)

    class Reading:
        def __init__(self):
            self.stream = io.BytesIO(data)

        def read(self, size):
            return self.stream.read(size)

    for make in (lambda: io.BytesIO(data), Reading):
        responses = served(wrapping(make, block_size=block_size), (), ())
        assert [response.body for response in responses] == [data] * 2


def test_a_file_is_closed_once_and_not_before_it_is_sent():
    class Counting(io.BytesIO):
        closings = 0

        def close(self):
            Counting.closings += 1
            super().close()

    assert served(wrapping(lambda: Counting(b"x" * 200_000)))[0].body == b"x" * 200_000
    assert Counting.closings == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_file_where_there_is_no_body(file, status):
    handles = []

    def app(environ, start_response):
        start_response(status, [])
        handles.append(file.open("rb"))
        return environ["wsgi.file_wrapper"](handles[-1])

    assert [response.status for response in served(app, (), ())] == [int(status[:3])] * 2
    assert all(handle.closed for handle in handles)


def test_a_file_for_head(file):
    with serve(wrapping(lambda: file.open("rb"))) as url, Client(url) as client:
        for _ in range(2):
            assert client.get(method="HEAD").status == 200
        assert client.get().body == file.read_bytes()


def test_a_file_to_http_1_0(file):
    with serve(wrapping(lambda: file.open("rb"))) as url, Client(url) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().body == file.read_bytes()


def test_a_pipe_is_no_file():
    """sendfile cannot read a pipe, and a pipe has no size."""

    def make():
        reader, writer = os.pipe()
        os.write(writer, b"through a pipe")
        os.close(writer)
        return os.fdopen(reader, "rb")

    assert served(wrapping(make))[0].body == b"through a pipe"


def test_a_wrapper_that_middleware_iterates(file):
    def app(environ, start_response):
        start_response("200 OK", [])
        wrapper = environ["wsgi.file_wrapper"](file.open("rb"), 4096)
        yield from wrapper
        wrapper.close()

    assert served(app)[0].body == file.read_bytes()


def test_a_text_file_is_an_error(tmp_path, caplog):
    (tmp_path / "text").write_text("text")
    with serve(wrapping((tmp_path / "text").open)) as url, Client(url) as client:
        client.request()
        try:
            response = client.read_response()
        except ConnectionError:
            return
        assert response.status in {200, 500}

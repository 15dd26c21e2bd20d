"""What `pre_request` and `post_request` are handed: a request and its response, with the attributes of Gunicorn's.

Both take further attributes: `pre_request` leaves the time of day in `req.began` for `post_request` to find.
"""

from typing import Any
from urllib.parse import urlsplit

Address = tuple[str, int] | str


class Request:
    """`req`: a request, as it was before the application got it.

    Arguments:
        environ: a copy that is nobody else's.
        number: which request of its connection it is, from 1.
    """

    def __init__(self, environ: dict[str, Any], method: str, uri: str, number: int) -> None:
        self.method = method
        self.uri = uri
        self.req_number = number
        self.scheme: str = environ["wsgi.url_scheme"]
        self.version = (1, 0) if environ["SERVER_PROTOCOL"] == "HTTP/1.0" else (1, 1)
        self.body = environ["wsgi.input"]
        self.trailers: list[tuple[str, str]] = []
        self._environ = environ
        self._headers: list[tuple[str, str]] | None = None

    def __repr__(self) -> str:
        return f"<{self.method} {self.uri}>"

    @property
    def path(self) -> str:
        """The path as it was sent, with its escapes."""
        return self._parts[0]

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return self._parts[1]

    @property
    def fragment(self) -> str:
        """Always empty: a request target has none (RFC 9112 section 3.2)."""
        return ""

    @property
    def _parts(self) -> tuple[str, str]:
        if "://" in self.uri and not self.uri.startswith("/"):
            split = urlsplit(self.uri)
            return split.path, split.query
        path, _, query = self.uri.partition("?")
        return path, query

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in upper case and values, as the application gets them: repeated ones joined, untrusted ones absent."""
        if self._headers is None:
            self._headers = [(_name(key), value) for key, value in self._environ.items() if _is_header(key)]
        return self._headers

    @property
    def peer_addr(self) -> Address:
        """Host and port at the other end of the connection; empty for a unix socket."""
        host = self._environ["REMOTE_ADDR"]
        return (host, int(self._environ["REMOTE_PORT"])) if host else ""

    @property
    def remote_addr(self) -> Address:
        """The same."""
        return self.peer_addr


def _is_header(key: str) -> bool:
    return key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")


def _name(key: str) -> str:
    return key.removeprefix("HTTP_").replace("_", "-")


class Response:
    """`resp`: what was answered.

    Arguments:
        headers: as the application gave them to start_response, or the server's own for an answer of its own.
        sent: octets of body.
        length: octets of body that were announced; None if they were not.
    """

    def __init__(  # noqa: PLR0913 - the facts of a response
        self,
        req: Request,
        *,
        status: str,
        headers: list[tuple[str, str]],
        sent: int,
        length: int | None,
        headers_sent: bool,
        chunked: bool,
        must_close: bool,
    ) -> None:
        self.req = req
        self.status = status
        self.status_code = int(status[:3])
        self.headers = headers
        self.sent = sent
        self.response_length = length
        self.headers_sent = headers_sent
        self.chunked = chunked
        self.must_close = must_close

    def __repr__(self) -> str:
        return f"<{self.status}>"

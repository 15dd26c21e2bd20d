"""What every server is asked, octet for octet, and what is kept of its answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.raw import Client

Observed = dict[str, object]

AGAIN = "/again"
"""Asked to see whether a connection was kept; no log is compared for it."""
DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
FORM = b"size=12&colour=red"


@dataclass(frozen=True)
class Ask:
    """Octets for a connection of their own. `kept`: a second request on it shows whether it was kept."""

    octets: bytes
    head_only: bool = False
    kept: bool = True
    times: int = 1


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """A request with a Host."""
    lines = [f"{method} {target} HTTP/{version}", "Host: shop.test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def post(*fields: str, body: bytes = b"") -> bytes:
    """A body that is sent back."""
    return get("/echo", *fields, method="POST", body=body)


COMMON = {
    "hello": Ask(get("/")),
    "hello-1.0": Ask(get("/", version="1.0")),
    "close": Ask(get("/", "Connection: close")),
    "head": Ask(get("/", method="HEAD"), head_only=True),
    "environ": Ask(get("/environ", "Accept: */*", "Cookie: a=1", "X-Two: 1", "X-Two: 2")),
    "path": Ask(get("/environ/../%C3%A9%2F?q=%20&r")),
    "absolute": Ask(get("http://shop.test/environ?absolute")),
    "form": Ask(post("Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(FORM)}", body=FORM)),
    "chunked": Ask(post("Transfer-Encoding: chunked", body=b"3\r\nabc\r\n4;x=1\r\ndefg\r\n0\r\n\r\n")),
    "expect": Ask(post("Expect: 100-continue", f"Content-Length: {len(FORM)}", body=FORM)),
    "stream": Ask(get("/stream")),
    "stream-1.0": Ask(get("/stream", version="1.0")),
    "nothing": Ask(get("/nothing")),
    "cookies": Ask(get("/cookies")),
    "error": Ask(get("/error")),
    "put": Ask(get("/environ", "Content-Length: 0", method="PUT")),
    "lower-case method": Ask(get("/", method="get"), kept=False),
    "no host": Ask(b"GET / HTTP/1.1\r\n\r\n", kept=False),
    "two hosts": Ask(get("/", "Host: other"), kept=False),
    "version 2.0": Ask(get("/", version="2.0"), kept=False),
    "version 9": Ask(get("/", version="9"), kept=False),
    "no request": Ask(b"this is no request\r\n\r\n", kept=False),
    "two lengths": Ask(post("Content-Length: 1", "Content-Length: 2", body=b"ab"), kept=False),
    "length and chunked": Ask(post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), kept=False),
    "unknown coding": Ask(post("Transfer-Encoding: zip"), kept=False),
    "bad chunk": Ask(post("Transfer-Encoding: chunked", body=b"z\r\n"), kept=False),
    "folded field": Ask(get("/", "X-Long: a\r\n b"), kept=False),
    "space before colon": Ask(get("/", "X-Name : a"), kept=False),
    "underscore": Ask(get("/environ", "X_Under: a")),
}
"""Asked of every case that does not choose."""

SPECIAL = {
    "https": Ask(get("/environ", "X-Forwarded-Proto: https")),
    "forwarded": Ask(get("/environ", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")),
    "query": Ask(get("/environ?a=b&c")),
    "referer": Ask(get("/environ", "Referer: http://r.test/", 'User-Agent: Test "1"')),
    "forged": Ask(get('/environ?"%0a', "X-Forwarded-For: a\x7fb\u00e9")),
    "talk": Ask(get("/talk")),
    "many": Ask(get("/"), times=40, kept=False),
    "slow": Ask(get("/slow?4"), kept=False),
    "long-line": Ask(get("/" + "x" * 600), kept=False),
    "many-fields": Ask(get("/", *(f"X-{number}: a" for number in range(20))), kept=False),
    "long-field": Ask(get("/", "X-Long: " + "a" * 300), kept=False),
}
ASKS = COMMON | SPECIAL


def ask(url: str, question: Ask, before: bytes) -> Observed:
    """One connection: the answers to the question, and whether there was one to another request behind it.

    A connection that ends without a whole answer is an observation too.
    """
    with Client(url) as client:
        client.send(before + question.octets)
        try:
            seen = read(client, head_only=question.head_only)
        except ConnectionError:
            return {"answer": "none"}
        if question.kept:
            client.send(get(AGAIN, "Connection: close"))
            try:
                seen["kept"] = read(client)["status"] == "200 OK"
            except ConnectionError:
                seen["kept"] = False
        return seen


def read(client: Client, *, head_only: bool = False) -> Observed:
    """One response."""
    response = client.read_response(head_only=head_only, versions=("HTTP/1.0", "HTTP/1.1"))
    if response.status == 100:
        return {"before it": "100 Continue"} | read(client)
    lines = response.head.decode("latin-1").split("\r\n")[:-2]
    fields: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(timeless(name.lower(), value.strip(), len(response.body)))
    return {
        "version": lines[0].split(" ")[0],
        "status": lines[0].split(" ", 1)[1],
        "headers": {name: ", ".join(values) for name, values in sorted(fields.items())},
        "body": response.body.decode("utf-8", "backslashreplace"),
    }


def timeless(name: str, value: str, size: int) -> str:
    """A header's value without what differs each time, or follows from the body."""
    if name == "date" and DATE.fullmatch(value):
        return "now"
    return "right" if name == "content-length" and value == str(size) else value


def play(url: str, names: Sequence[str], before: bytes) -> Mapping[str, Observed]:
    """All that is asked, by name."""
    found: dict[str, Observed] = {}
    for name in names:
        question = ASKS[name]
        for _ in range(question.times):
            found[name] = ask(url, question, before)
    return found

"""The access log's lines, beside the text that Gunicorn 27.0.1 writes for the same requests."""

import base64
import logging
import os
import re
import time
from pathlib import Path

import pytest

import pronghorn.observe
from pronghorn.errors import SettingsError
from pronghorn.observe.access import AccessLog
from pronghorn.options.access_format import Kind
from pronghorn.options.logs import LogOptions

DEFAULT = LogOptions().access_log_format
BEGAN = 1795214222.75  # 20 November 2026, 22:37:02 UTC

BASE = {
    "REMOTE_ADDR": "192.0.2.7",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/a%20b?x=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "x=1",
    "wsgi.url_scheme": "http",
    "SERVER_NAME": "example.com",
    "wsgi.multithread": True,
}

# environ, status, response headers, octets sent, nanoseconds
PLAIN = (
    BASE | {"HTTP_USER_AGENT": "curl/8.1", "HTTP_REFERER": "http://example.com/"},
    "200 OK",
    [("Content-Type", "text/plain"), ("Content-Length", "13")],
    13,
    1_234_567_890,
)
POST = (
    BASE
    | {
        "REQUEST_METHOD": "POST",
        "RAW_URI": "/",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "HTTP_X_REQUEST_ID": "abc-1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "12",
        "HTTP_USER_AGENT": 'say "hi"',
    },
    "404 Not Found",
    [("content-type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    0,
    999,
)
ANNA = (BASE | {"HTTP_AUTHORIZATION": "basic YW5uYTpzZWNyZXQ="}, "500 Internal Server Error", [], 21, 60_000_000_000)
BEARER = (BASE | {"HTTP_AUTHORIZATION": "Bearer abc"}, "301 Moved Permanently", [], 0, 1_000_000)
MALFORMED = (BASE | {"HTTP_AUTHORIZATION": "Basic !!!"}, "200 OK", [], 0, 1_500_000)

FIGURES = "%(m)s|%(U)s|%(q)s|%(H)s|%(B)s|%(T)s|%(D)s|%(M)s|%(L)s"
REQUEST_FIELDS = "%({user-agent}i)s %({X-Request-Id}i)s %({Content-Type}i)s %({content-length}i)s"
RESPONSE_FIELDS = "%({Content-Type}o)s %({set-cookie}o)s %({nope}o)s"
ENVIRON = "%({REMOTE_ADDR}e)s %({wsgi.url_scheme}e)s %({server_name}e)s %({wsgi.multithread}e)s"
TIME = "[20/Nov/2026:22:37:02 +0000]"

GUNICORN = [
    (DEFAULT, PLAIN, f'192.0.2.7 - - {TIME} "GET /a%20b?x=1 HTTP/1.1" 200 13 "http://example.com/" "curl/8.1"'),
    (DEFAULT, POST, f'192.0.2.7 - - {TIME} "POST / HTTP/1.0" 404 0 "-" "say \\"hi\\""'),
    (DEFAULT, ANNA, f'192.0.2.7 - anna {TIME} "GET /a%20b?x=1 HTTP/1.1" 500 21 "-" "-"'),
    (DEFAULT, BEARER, f'192.0.2.7 - - {TIME} "GET /a%20b?x=1 HTTP/1.1" 301 0 "-" "-"'),
    (DEFAULT, MALFORMED, f'192.0.2.7 - - {TIME} "GET /a%20b?x=1 HTTP/1.1" 200 0 "-" "-"'),
    (FIGURES, PLAIN, "GET|/a b|x=1|HTTP/1.1|13|1|1234567|1234|1.234567"),
    (FIGURES, POST, "POST|/||HTTP/1.0|0|0|0|0|0.000000"),
    (FIGURES, ANNA, "GET|/a b|x=1|HTTP/1.1|21|60|60000000|60000|60.000000"),
    (FIGURES, MALFORMED, "GET|/a b|x=1|HTTP/1.1|0|0|1500|1|0.001500"),
    (REQUEST_FIELDS, PLAIN, "curl/8.1 - - -"),
    (REQUEST_FIELDS, POST, 'say \\"hi\\" abc-1 application/json 12'),
    (RESPONSE_FIELDS, PLAIN, "text/plain - -"),
    (RESPONSE_FIELDS, POST, "text/html b=2 -"),
    (ENVIRON, PLAIN, "192.0.2.7 http example.com True"),
    ("100%% %(h)s %(zzz)s %(D)d", PLAIN, "100% 192.0.2.7 - 1234567"),
]


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def line(tmp_path):
    """A function that records one request and gives the line back."""

    def one(fmt, environ, status="200 OK", headers=(), sent=0, duration=0, *, remote="192.0.2.7", began=BEGAN):  # noqa: PLR0913, PLR0917
        target = tmp_path / "access.log"
        target.unlink(missing_ok=True)
        log = AccessLog(fmt, str(target))
        log.put(remote, environ, status, None if headers is None else list(headers), sent, began, duration)
        log.flush()
        text = target.read_text(encoding="ascii")
        assert text.endswith("\n")
        return text[:-1]

    return one


@pytest.mark.parametrize(("fmt", "request_", "expected"), GUNICORN)
def test_same_text_as_gunicorn(line, fmt, request_, expected):
    assert line(fmt, *request_) == expected


def test_a_refused_request_has_dashes(line):
    expected = f'192.0.2.7 - - {TIME} "-" 400 0 "-" "-"'
    assert line(DEFAULT, None, "400 Bad Request", None) == expected
    assert line("%(h)s %(m)s %({x}i)s %({x}o)s %({x}e)s %(b)s", None, None, None, -1, remote=None) == "- - - - - -"


def test_process_id(line):
    assert line("%(p)s", BASE) == f"<{os.getpid()}>"


def test_time_is_local_and_follows_the_record(line, monkeypatch):
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    assert line("%(t)s", BASE) == "[21/Nov/2026:04:07:02 +0530]"
    monkeypatch.setenv("TZ", "NST3:30")
    time.tzset()
    assert line("%(t)s", BASE) == "[20/Nov/2026:19:07:02 -0330]"


def test_each_record_has_its_own_second(tmp_path):
    target = tmp_path / "access.log"
    log = AccessLog("%(t)s", str(target))
    for began in (BEGAN, BEGAN + 0.1, BEGAN + 1, BEGAN - 1):
        log.put("h", BASE, "200 OK", [], 0, began, 0)
    log.flush()
    assert [line[19:21] for line in target.read_text().splitlines()] == ["02", "02", "03", "01"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\nb", "a\\x0ab"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x00\x7f", "\\x00\\x7f"),
        ('a"b\\', 'a\\"b\\x5c'),
        ("caf\xe9", "caf\\xe9"),
        ("\u20ac", "\\xe2\\x82\\xac"),
        ("\ud800", "\\x5cud800"),
    ],
)
@pytest.mark.parametrize("atom", ["h", "r", "U", "q", "a", "f", "{x-it}i", "{x-it}o", "{thing}e", "u"])
def test_rule_32_no_line_can_be_forged(line, atom, value, expected):
    if atom == "u" and value == "\ud800":
        pytest.skip("no bytes decode to a lone surrogate")
    user = base64.b64encode(f"{value}:p".encode(errors="replace")).decode()
    environ = {
        "REQUEST_METHOD": value, "RAW_URI": value, "SERVER_PROTOCOL": value, "PATH_INFO": value, "QUERY_STRING": value,
        "HTTP_USER_AGENT": value, "HTTP_REFERER": value, "HTTP_X_IT": value, "thing": value,
        "HTTP_AUTHORIZATION": f"Basic {user}",
    }  # fmt: skip
    if atom == "r":
        expected = f"{expected} {expected} {expected}"
    assert line(f"<%({atom})s>", environ, "200 OK", [("X-It", value)], remote=value) == f"<{expected}>"


def test_a_long_line_is_cut(line):
    text = line("%(U)s|%(q)s", {"PATH_INFO": "\x01" * 30_000, "QUERY_STRING": "q" * 100_000})
    assert len(text) <= 65_536 + 1


@pytest.mark.parametrize("fmt", ["%", "100%", "%(h", "%(h)", "%h", "%(h)x", "a %(h)10s"])
def test_malformed_format_is_named(tmp_path, fmt):
    with pytest.raises(SettingsError, match=r"access_log_format has .* at character"):
        AccessLog(fmt, str(tmp_path / "log"))


def test_records_are_written_when_many_have_come_together(tmp_path):
    target = tmp_path / "access.log"
    log = AccessLog("%(U)s", str(target))
    for _ in range(40):
        log.put("h", {"PATH_INFO": "x" * 999}, "200 OK", [], 0, BEGAN, 0)
    assert len(target.read_text().splitlines()) == 33
    log.flush()
    assert len(target.read_text().splitlines()) == 40


def test_an_object_in_the_environ_that_records_itself(tmp_path):
    """Formatting can run Python, and Python can let another thread record: the lines stay whole."""
    target = tmp_path / "access.log"
    log = AccessLog("<%({it}e)s>", str(target))

    class Recording:
        def __str__(self):
            log.put("h", {"it": "inner"}, "200 OK", [], 0, BEGAN, 0)
            return "outer"

    log.put("h", {"it": Recording()}, "200 OK", [], 0, BEGAN, 0)
    log.flush()
    assert target.read_text() == "<inner>\n<outer>\n"


def test_reopen_after_rotation(tmp_path):
    target = tmp_path / "access.log"
    log = AccessLog("%(s)s", str(target))
    log.put("h", BASE, "200 OK", [], 0, BEGAN, 0)
    target.rename(tmp_path / "access.log.1")
    log.reopen()
    log.put("h", BASE, "404 Not Found", [], 0, BEGAN, 0)
    log.flush()
    assert (tmp_path / "access.log.1").read_text() == "200\n"
    assert target.read_text() == "404\n"


def test_losses_are_told_in_the_error_log(tmp_path, caplog):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog("%(U)s", str(fifo))
    environ = {"PATH_INFO": "x" * 4000}
    for _ in range(30):  # 120 kB into a pipe of 64 KiB
        log.put("h", environ, "200 OK", [], 0, BEGAN, 0)
        log.flush()
    lost = log.sink.lost
    assert lost > 0
    taken = os.read(reader, 1 << 20)
    with caplog.at_level(logging.WARNING, "pronghorn.error"):
        logging.getLogger("pronghorn.error").propagate = True
        log.put("h", environ, "200 OK", [], 0, BEGAN, 0)
        log.flush()
    assert f"{lost} access log lines were lost" in caplog.text
    taken += os.read(reader, 1 << 20)
    os.close(reader)
    assert len(taken.splitlines()) == 31 - lost
    assert set(taken.splitlines()) == {b"x" * 4000}


def test_both_lists_of_the_pieces_of_a_line_say_the_same():
    double = Path(pronghorn.observe.__file__).with_name("access.pxd").read_text()
    listed = double.partition("# access_format.Kind\n")[2].partition("\n\n")[0]
    pairs = re.findall(r"^    (\w+) = (\d+)$", listed, re.MULTILINE)
    assert [(name, int(number)) for name, number in pairs] == [(kind.name, kind.value) for kind in Kind]

"""Section A of the protocol rules: the request line. Tests are named by the rule they hold."""

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.http1 import unescape

HOST = b"Host: a\r\n"


def request(line: bytes, fields: bytes = HOST, end: bytes = b"\r\n") -> bytes:
    return line + end + fields + b"\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\n",
        b"GET / HTTP/1.1\n",
    ],
)
def test_rule_1_bare_lf_is_refused_at_once(status, data):
    assert status(data) == 400


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\r\n",
    ],
)
def test_rule_2_bare_cr_is_refused(status, data):
    assert status(data) == 400


def test_rule_3_one_empty_line_in_front_is_ignored(judge):
    head = judge(b"\r\n" + request(b"GET /x HTTP/1.1"))
    assert (head.path, head.host, head.end) == (b"/x", b"a", 2 + len(request(b"GET /x HTTP/1.1")))


@pytest.mark.parametrize(
    "start", [b"\r\n\r\n", b"\n", b"\r\n\n", b" ", b"\t", b"\r\n ", b"\0", b"\x0b", b"\x1f", b"\x80"]
)
def test_rule_3_anything_else_in_front_is_refused(status, start):
    assert status(start) == 400
    assert status(start + request(b"GET / HTTP/1.1")) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET\x0b/ HTTP/1.1",
        b"GET /\x0cHTTP/1.1",
        b"GET\x85/ HTTP/1.1",
        b"GET /\xa0HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/1.1\t",
        b"GET /a b HTTP/1.1",
        b" GET / HTTP/1.1",
    ],
)
def test_rule_4_exactly_one_space_between_the_parts(status, line):
    assert status(request(line)) == 400


@pytest.mark.parametrize(
    "byte",
    sorted(set(range(256)) - set(b"!#$%&'*+-.^_`|~") - set(range(48, 58)) - set(range(65, 91)) - set(range(97, 123))),
)
def test_rule_5_a_method_is_a_token(status, byte):
    assert status(request(b"G" + bytes([byte]) + b"T / HTTP/1.1")) == 400


@pytest.mark.parametrize("method", [b"GET", b"get", b"G", b"M-SEARCH", b"!#$%&'*+-.^_`|~09azAZ", b"A" * 64])
def test_rule_5_a_method_is_passed_as_it_is(judge, method):
    assert judge(request(method + b" / HTTP/1.1")).method == method


def test_rule_5_a_method_over_64_octets_is_not_implemented(status):
    assert status(request(b"A" * 65 + b" / HTTP/1.1")) == 501


@pytest.mark.parametrize("line", [b"GET /", b"GET / ", b"GET ", b"GET", b"GET HTTP/1.1", b"GET  HTTP/1.1"])
def test_rule_6_a_request_line_has_three_parts(status, line):
    assert status(request(line)) == 400


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_rule_7_two_versions_are_served(judge, version):
    head = judge(request(b"GET / HTTP/" + version))
    assert head.version == int(version.replace(b".", b""))


@pytest.mark.parametrize("version", [b"1.2", b"1.9", b"2.0", b"3.0", b"0.9", b"9.9", b"0.0"])
def test_rule_7_another_version_is_505(status, version):
    assert status(request(b"GET / HTTP/" + version)) == 505


@pytest.mark.parametrize(
    "version",
    [
        b"HTTP/1",
        b"HTTP/1.",
        b"HTTP/.1",
        b"HTTP/01.1",
        b"HTTP/1.10",
        b"HTTP/1.32",
        b"HTTP/11",
        b"http/1.1",
        b"HTTP/ 1.1",
        b"HTTP/1.1.1",
        b"HTTP/4294967295.255",
        b"HTTP/a.b",
        b"HTTP/-1.1",
        b"HTP/1.1",
        b"HTTPS/1.1",
        b"ICY/1.1",
        b"H",
    ],
)
def test_rule_7_a_malformed_version_is_400(status, version):
    assert status(request(b"GET / " + version)) == 400


def test_rule_8_a_request_line_of_8000_octets_works(judge):
    path = b"/" + b"a" * (8000 - len(b"GET / HTTP/1.1"))
    assert judge(request(b"GET " + path + b" HTTP/1.1")).path == path


def test_rule_8_a_long_request_line_is_refused_before_it_ends(status):
    line = b"GET /aaa HTTP/1.1"
    assert status(request(line), request_line=len(line)) == 200
    assert status(request(line), request_line=len(line) - 1) == 414
    assert status(b"GET /aaaaaaaaaaa", request_line=15) == 414
    assert status(b"\r\nGET /aaaaaaaaaaa", request_line=15) == 414
    assert status(b"GET /aaaaaaaaaa", request_line=15) is None
    assert status(b"GET /" + b"a" * 100_000) == 414


@pytest.mark.parametrize("byte", [*range(0x21), 0x23, *range(0x7F, 0x100)])
def test_rule_9_controls_8_bit_and_fragments_in_a_target_are_refused(status, byte):
    assert status(request(b"GET /a" + bytes([byte]) + b"b HTTP/1.1")) == 400


@pytest.mark.parametrize("byte", sorted(set(range(0x21, 0x7F)) - {0x23}))
def test_rule_9_every_other_octet_of_a_target_is_data(judge, byte):
    target = b"/a" + bytes([byte]) + b"b"
    assert judge(request(b"GET " + target + b" HTTP/1.1")).target == target


def test_rule_9_an_escaped_nul_is_refused():
    with pytest.raises(PeerError) as error:
        unescape(b"/a%00b")
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        (b"", b""),
        (b"/plain", b"/plain"),
        (b"/a%20b", b"/a b"),
        (b"/%0d%0a", b"/\r\n"),
        (b"/%2f%2F%2e%2E", b"///.."),
        (b"/%c0%af", b"/\xc0\xaf"),
        (b"/%252f", b"/%2f"),
        (b"/%", b"/%"),
        (b"/%4", b"/%4"),
        (b"/%4g%zz%%41", b"/%4g%zz%A"),
        (b"/a+b", b"/a+b"),
    ],
)
def test_rule_10_a_path_is_unescaped_once(path, plain):
    assert unescape(path) == plain


@pytest.mark.parametrize("path", [b"//", b"/../..", b"/./", b"/%2f", b"/\\", b"/a//b/;x", b"//evil.com/x"])
def test_rule_10_a_path_is_not_normalised(judge, path):
    head = judge(request(b"GET " + path + b"?q HTTP/1.1"))
    assert (head.path, head.query, head.target) == (path, b"q", path + b"?q")


@pytest.mark.parametrize(
    ("target", "authority", "path", "query"),
    [
        (b"http://a/p?q", b"a", b"/p", b"q"),
        (b"https://a/p", b"a", b"/p", b""),
        (b"HTTP://A/p", b"A", b"/p", b""),
        (b"http://a", b"a", b"", b""),
        (b"http://a?q", b"a", b"", b"q"),
        (b"http://a/http://b/?/", b"a", b"/http://b/", b"/"),
    ],
)
def test_rule_11_absolute_form_is_accepted(judge, target, authority, path, query):
    head = judge(request(b"GET " + target + b" HTTP/1.1"))
    assert (head.form, head.authority, head.path, head.query) == (2, authority, path, query)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://b/", b"a"),
        (b"http://a:80/", b"a"),
        (b"http://a/", b"a:80"),
        (b"http://a.b/", b"a"),
        (b"http://u@a/", b"a"),
        (b"http://u:p@a/", b"a"),
        (b"http://@a/", b"a"),
        (b"http:///p", b"a"),
        (b"http://", b"a"),
        (b"http:/a/", b"a"),
        (b"http:a", b"a"),
        (b"http://a\\b/", b"a"),
        (b"http://a:x/", b"a"),
        (b"ftp://a/", b"a"),
        (b"ws://a/", b"a"),
        (b"httpx://a/", b"a"),
        (b"://a/", b"a"),
    ],
)
def test_rule_11_absolute_form_that_disagrees_or_is_malformed_is_refused(status, target, host):
    assert status(request(b"GET " + target + b" HTTP/1.1", b"Host: " + host + b"\r\n")) == 400


def test_rule_11_absolute_form_in_http_1_0_needs_no_host(judge, status):
    assert judge(request(b"GET http://a/p HTTP/1.0", b"")).authority == b"a"
    assert status(request(b"GET http://a/p HTTP/1.1", b"")) == 400


def test_rule_12_connect_is_not_implemented(status):
    assert status(request(b"CONNECT a:443 HTTP/1.1", b"Host: a:443\r\n")) == 501
    assert status(request(b"CONNECT / HTTP/1.1")) == 501


def test_rule_12_authority_form_belongs_to_connect(status):
    assert status(request(b"GET a:443 HTTP/1.1", b"Host: a:443\r\n")) == 400


def test_rule_13_the_asterisk_belongs_to_options(judge, status):
    head = judge(request(b"OPTIONS * HTTP/1.1"))
    assert (head.form, head.path, head.query) == (4, b"", b"")
    assert status(request(b"GET * HTTP/1.1")) == 400
    assert status(request(b"options * HTTP/1.1")) == 400
    assert status(request(b"OPTIONS ** HTTP/1.1")) == 400
    assert status(request(b"OPTIONS *?x HTTP/1.1")) == 400


@pytest.mark.parametrize("target", [b"foo", b"?x", b"@evil.com/", b"foo/bar", b"a:b", b".", b"\\", b"%2f"])
def test_rule_14_a_relative_target_is_refused(status, target):
    assert status(request(b"GET " + target + b" HTTP/1.1")) == 400


def test_rule_15_other_protocols_are_refused(status):
    assert status(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505
    assert status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == 400
    assert status(b"\x16") == 400
    assert status(b"\x80\x2e\x01\x00\x02") == 400
    assert status(b"SSH-2.0-OpenSSH_9.2\r\n") == 400


@pytest.mark.parametrize(
    ("target", "path", "query", "escaped"),
    [
        (b"/", b"/", b"", False),
        (b"/?", b"/", b"", False),
        (b"/a?b?c", b"/a", b"b?c", False),
        (b"/a%20?b", b"/a%20", b"b", True),
        (b"/a?%20", b"/a", b"%20", False),
    ],
)
def test_a_target_is_split_at_its_first_question_mark(judge, target, path, query, escaped):
    head = judge(request(b"GET " + target + b" HTTP/1.1"))
    assert (head.path, head.query, head.path_escaped) == (path, query, escaped)

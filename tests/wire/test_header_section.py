"""Section B of the protocol rules: the header section. Tests are named by the rule they hold."""

import pytest

START = b"GET / HTTP/1.1\r\n"
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def request(*lines: bytes, start: bytes = START) -> bytes:
    return start + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_rule_16_http_1_1_needs_a_host(status):
    assert status(request()) == 400
    assert status(request(b"Hosts: a")) == 400
    assert status(request(start=b"GET / HTTP/1.0\r\n")) == 200


@pytest.mark.parametrize("start", [START, b"GET / HTTP/1.0\r\n"])
@pytest.mark.parametrize("lines", [[b"Host: a", b"Host: a"], [b"Host: a", b"X: y", b"hOST: b"], [b"Host:", b"Host: a"]])
def test_rule_17_two_hosts_are_refused(status, start, lines):
    assert status(request(*lines, start=start)) == 400


GOOD_HOSTS = [
    b"a", b"a.b.example", b"a:80", b"a:", b"a:65535", b"127.0.0.1", b"127.0.0.1:8000", b"[::1]", b"[::1]:8000",
    b"[::]", b"[1:2:3:4:5:6:7:8]", b"[1::8]", b"[1::]", b"[::ffff:192.0.2.1]", b"[1:2:3:4:5:6:192.0.2.1]",
    b"[2001:DB8::1]", b"a_b", b"xn--a", b"%41", b"a.", b"A-1",
]  # fmt: skip

BAD_HOSTS = [
    b"", b" ", b"a b", b"a,b", b"a, a", b"u@a", b"u:p@a", b"a/", b"a/p", b"a?q", b"a#f", b"a\\b", b"a\0", b"a\x7f",
    b"a\t.b", b"caf\xc3\xa9", b"a\xff", b":80", b"a:b", b"a:-1", b"a:+1", b"a:65536", b"a:999999", b"a:0x50",
    b"a: 80", b"a:80:80", b"::1", b"fe80::1", b"1:2:3", b"[", b"]", b"[]", b"[::1", b"::1]", b"[::1]a", b"[::1]:a",
    b"[::1]]", b"[[::1]]", b"[a]", b"[:1]", b"[1:]", b"[:::]", b"[1::2::3]", b"[1:2:3:4:5:6:7]",
    b"[1:2:3:4:5:6:7:8:9]", b"[1:2:3:4:5:6:7:8::]", b"[12345::]", b"[g::]", b"[::1%25eth0]", b"[v1.a]",
    b"[::256.1.1.1]", b"[::1.2.3]", b"[1.2.3.4]", b"[::1.2.3.4.5]", b"[::1.2.3.4:1]", b"[::1.2..4]", b"%", b"%4",
    b"%zz", b"a<b", b'"a"', b"a|b", b"a^b", b"a`b", b"{a}", b"http://a",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_rule_18_a_valid_host_is_passed_as_it_is(judge, host):
    assert judge(request(b"Host: " + host)).host == host
    assert judge(request(b"Host: " + host, start=b"GET http://" + host.upper() + b"/ HTTP/1.1\r\n")).host == host


@pytest.mark.parametrize("start", [START, b"GET / HTTP/1.0\r\n"])
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_rule_18_an_invalid_host_is_refused(status, host, start):
    assert status(request(b"Host: " + host, start=start)) == 400


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"  "])
@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"X"])
def test_rule_19_whitespace_before_the_colon_is_refused(status, name, blank):
    assert status(request(b"Host: a", name + blank + b": 1")) == 400


@pytest.mark.parametrize("line", [b" Host: a", b"\tHost: a", b" X: y", b" ", b"\x0bX: y"])
def test_rule_20_whitespace_before_a_line_is_refused(status, line):
    assert status(request(line, b"Host: a")) == 400
    assert status(request(b"Host: a", line)) == 400


@pytest.mark.parametrize("name", [b"X", b"Host", b"Content-Length", b"Transfer-Encoding"])
@pytest.mark.parametrize("fold", [b"\r\n 1", b"\r\n\t1", b"1\r\n ", b"\r\n \r\n 1"])
def test_rule_21_folded_lines_are_refused(status, name, fold):
    assert status(request(b"Host: a", name + b": " + fold)) == 400


@pytest.mark.parametrize(
    "line",
    [b": x", b":", b"x", b"Content-Length 10", b"a b: c", b'"a": b', b"a(b): c", b"X-\r\nY: z", b"=: x", b"X\x00: y"],
)
def test_rule_22_a_line_is_a_name_and_a_colon(status, line):
    assert status(request(b"Host: a", line)) == 400


@pytest.mark.parametrize("byte", range(256))
def test_rule_22_a_name_is_a_token(judge, status, byte):
    name = b"x" + bytes([byte]) + b"y"
    if byte in TOKEN:
        assert judge(request(b"Host: a", name + b": z")).fields[1] == (name, b"z")
    elif byte == ord(":"):
        assert judge(request(b"Host: a", name + b": z")).fields[1] == (b"x", b"y: z")
    else:
        assert status(request(b"Host: a", name + b": z")) == 400


@pytest.mark.parametrize("byte", range(256))
@pytest.mark.parametrize("before", [0, 7, 15, 31])
def test_rule_23_no_control_octet_in_a_value(judge, status, byte, before):
    value = b"x" * before + bytes([byte]) + b"y" * 20
    if byte == 9 or (byte >= 32 and byte != 127):
        assert judge(request(b"Host: a", b"X:" + value)).fields[1] == (b"X", value.lstrip(b" \t"))
    else:
        assert status(request(b"Host: a", b"X:" + value)) == 400


@pytest.mark.parametrize("blanks", [b"", b" ", b"\t", b" \t \t "])
@pytest.mark.parametrize("value", [b"", b"v", b"v \tw", b"\x85v\xa0", b"v" * 40])
def test_rule_24_only_space_and_tab_are_trimmed(judge, blanks, value):
    assert judge(request(b"Host: a", b"X:" + blanks + value + blanks)).fields[1] == (b"X", value)


@pytest.mark.parametrize("end", [b"\r\n\rX", b"\r\n\n", b"\r\n\r\r\n", b"\n\n", b"\r\r"])
def test_rule_25_the_section_ends_in_crlf_crlf(status, end):
    assert status(START + b"Host: a" + end) == 400


def test_rule_26_the_number_of_lines_is_limited_before_the_section_ends(status):
    lines = [b"Host: a", *[b"X: y"] * 4]
    assert status(request(*lines), fields=5) == 200
    assert status(request(*lines), fields=4) == 431
    assert status(START + b"A: b\r\n" * 4 + b"C", fields=4) == 431
    assert status(START + b"A: b\r\n" * 4, fields=4) is None
    assert status(START + b"A", fields=0) == 431
    assert status(b"GET / HTTP/1.0\r\n\r\n", fields=0) == 200


def test_rule_26_a_line_is_limited_before_it_ends(status):
    line = b"X: " + b"y" * 20
    assert status(request(b"Host: a", line), field_line=23) == 200
    assert status(request(b"Host: a", line), field_line=22) == 431
    assert status(START + b"X: " + b"y" * 21, field_line=23) == 431
    assert status(START + b"X" * 24, field_line=23) == 431
    assert status(START + b"X: " + b"y" * 20, field_line=23) is None
    assert status(START + b"X: " + b"y" * 20 + b"\r", field_line=23) is None


@pytest.mark.parametrize("bad", [b"\0", b"\n", b"\x7f"])
def test_rule_26_nothing_behind_the_limit_is_looked_at(judge, bad):
    assert judge(START + b"X: " + b"y" * 30 + bad, field_line=23).status == 431
    assert judge(b"GET /" + b"y" * 30 + bad, request_line=20).status == 414
    assert judge(START + b"X: " + bad + b"y" * 30, field_line=23).status == 400


def test_rule_26_the_section_is_limited_before_it_ends(status):
    data = request(b"Host: a", b"X: y", b"Z: 12345")
    size = len(data) - len(START)
    assert status(data, section=size) == 200
    for limit in range(size):
        assert status(data, section=limit) == 431
    assert status(START + b"Host: a\r\n" + b"X: y\r\n" * 20, section=100) == 431


@pytest.mark.parametrize("name", [b"Host", b"Content-Length", b"Content-Type", b"Authorization"])
@pytest.mark.parametrize("same", [True, False])
def test_rule_27_single_fields_are_not_repeated(status, name, same):
    lines = [name + b": 1", b"X: y", name.lower() + (b": 1" if same else b": 2")]
    assert status(request(*([] if name == b"Host" else [b"Host: a"]), *lines)) == 400


def test_rule_27_other_fields_are_kept_one_by_one(judge):
    head = judge(request(b"Host: a", b"Cookie: a=b", b"X: 1", b"cookie: c=d", b"X: 2"))
    assert head.fields[1:] == [(b"Cookie", b"a=b"), (b"X", b"1"), (b"cookie", b"c=d"), (b"X", b"2")]


@pytest.mark.parametrize("name", [b"X_Forwarded_For", b"Content_Length", b"Transfer_Encoding", b"Host_", b"Proxy"])
def test_rule_28_odd_but_legal_names_are_parsed_and_mean_nothing_here(judge, name):
    head = judge(request(b"Host: a", name + b": chunked"))
    assert head.fields[1] == (name, b"chunked")
    assert (head.content_length, head.chunked) == (None, False)


def test_the_head_ends_where_it_ends(judge):
    data = request(b"Host: a")
    assert judge(data + b"\0\nGET / HTTP/1.1").end == len(data)

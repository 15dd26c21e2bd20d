"""Sections A to D: what is refused, with which status; nothing of it or behind it reaches the application."""

import pytest
from tests.support.apps import Recording
from tests.support.raw import Client
from tests.support.ways import BEHIND, Way, send

from pronghorn.testing import serve

HOST = b"Host: test\r\n"


def get(*lines: bytes, start: bytes = b"GET /x HTTP/1.1") -> bytes:
    return b"\r\n".join([start, b"Host: test", *lines, b"", b""])


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return get(*lines, start=b"POST /x HTTP/1.1") + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def line(start: bytes) -> bytes:
    return get(start=start)


REFUSED = {
    # A. The request line
    "rule_1_bare_lf_after_request_line": (b"GET / HTTP/1.1\nHost: test\r\n\r\n", 400),
    "rule_1_bare_lf_after_field": (b"GET / HTTP/1.1\r\nHost: test\nA: b\r\n\r\n", 400),
    "rule_1_bare_lf_only": (b"GET / HTTP/1.1\nHost: test\n\n", 400),
    "rule_2_bare_cr_in_request_line": (b"GET /\r HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "rule_2_cr_x": (b"GET / HTTP/1.1\rX" + HOST + b"\r\n", 400),
    "rule_2_cr_cr_lf": (b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n", 400),
    "rule_3_leading_space": (b" " + line(b"GET / HTTP/1.1"), 400),
    "rule_3_leading_nul": (b"\0" + line(b"GET / HTTP/1.1"), 400),
    "rule_3_leading_lf": (b"\n" + line(b"GET / HTTP/1.1"), 400),
    "rule_3_many_empty_lines": (b"\r\n" * 10 + line(b"GET / HTTP/1.1"), 400),
    "rule_4_two_spaces_after_method": (line(b"GET  / HTTP/1.1"), 400),
    "rule_4_two_spaces_before_version": (line(b"GET /  HTTP/1.1"), 400),
    "rule_4_tab": (line(b"GET\t/ HTTP/1.1"), 400),
    "rule_4_vertical_tab": (line(b"GET\x0b/ HTTP/1.1"), 400),
    "rule_4_nbsp": (line(b"GET\xa0/ HTTP/1.1"), 400),
    "rule_4_space_after_version": (line(b"GET / HTTP/1.1 "), 400),
    "rule_4_space_in_target": (line(b"GET /a b HTTP/1.1"), 400),
    "rule_5_method_no_token": (line(b"G=T / HTTP/1.1"), 400),
    "rule_5_method_quote": (line(b'G"T / HTTP/1.1'), 400),
    "rule_5_method_nul": (line(b"GET\0 / HTTP/1.1"), 400),
    "rule_5_method_8_bit": (line(b"G\xc9T / HTTP/1.1"), 400),
    "rule_5_method_too_long": (line(b"M" * 65 + b" / HTTP/1.1"), 501),
    "rule_6_http_0_9": (b"GET /\r\n\r\n", 400),
    "rule_6_no_target": (line(b"GET HTTP/1.1"), 400),
    "rule_6_no_version": (line(b"GET / "), 400),
    "rule_7_http_2": (line(b"GET / HTTP/2.0"), 505),
    "rule_7_http_3": (line(b"GET / HTTP/3.0"), 505),
    "rule_7_http_0_9": (line(b"GET / HTTP/0.9"), 505),
    "rule_7_http_9_9": (line(b"GET / HTTP/9.9"), 505),
    "rule_7_short": (line(b"GET / HTTP/1"), 400),
    "rule_7_leading_zero": (line(b"GET / HTTP/01.1"), 400),
    "rule_7_long_minor": (line(b"GET / HTTP/1.10"), 400),
    "rule_7_lower_case": (line(b"GET / http/1.1"), 400),
    "rule_7_space_in_version": (line(b"GET / HTTP/ 1.1"), 400),
    "rule_7_overflow": (line(b"GET / HTTP/4294967295.255"), 400),
    "rule_8_long_line": (line(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
    "rule_8_long_line_after_an_empty_one": (b"\r\n" + line(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
    "rule_8_long_line_without_end": (b"GET /" + b"a" * 9000, 414),
    "rule_9_control_in_target": (line(b"GET /\x01 HTTP/1.1"), 400),
    "rule_9_nul_in_target": (line(b"GET /\0 HTTP/1.1"), 400),
    "rule_9_del_in_target": (line(b"GET /\x7f HTTP/1.1"), 400),
    "rule_9_8_bit_target": (line(b"GET /\xe9 HTTP/1.1"), 400),
    "rule_9_fragment": (line(b"GET /a#b HTTP/1.1"), 400),
    "rule_9_nul_escape": (line(b"GET /%00 HTTP/1.1"), 400),
    "rule_11_other_host": (line(b"GET http://other/ HTTP/1.1"), 400),
    "rule_11_userinfo": (line(b"GET http://user@test/ HTTP/1.1"), 400),
    "rule_12_connect": (b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n", 501),
    "rule_12_authority_without_connect": (line(b"GET test:80 HTTP/1.1"), 400),
    "rule_13_asterisk_without_options": (line(b"GET * HTTP/1.1"), 400),
    "rule_14_relative": (line(b"GET foo HTTP/1.1"), 400),
    "rule_14_query_only": (line(b"GET ?x HTTP/1.1"), 400),
    "rule_14_at_sign": (line(b"GET @evil.example/ HTTP/1.1"), 400),
    "rule_15_http_2_preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "rule_15_tls_client_hello": (bytes.fromhex("16030100f8010000f40303") + bytes(200), 400),
    # B. The header section
    "rule_16_no_host": (b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
    "rule_17_two_hosts": (get(b"Host: test"), 400),
    "rule_18_host_space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "rule_18_host_comma": (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    "rule_18_host_user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "rule_18_host_path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "rule_18_host_8_bit": (b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", 400),
    "rule_18_host_bad_port": (b"GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400),
    "rule_18_host_bare_v6": (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
    "rule_18_host_empty": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "rule_19_space_before_colon": (get(b"A : b"), 400),
    "rule_19_tab_before_colon": (get(b"A\t: b"), 400),
    "rule_19_nel_before_colon": (get(b"A\x85: b"), 400),
    "rule_20_space_before_first_field": (b"GET / HTTP/1.1\r\n Host: test\r\n\r\n", 400),
    "rule_21_folded_line": (get(b"A: b", b" c"), 400),
    "rule_21_folded_coding": (post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), 400),
    "rule_22_no_colon": (get(b"Content-Length 10"), 400),
    "rule_22_empty_name": (get(b": x"), 400),
    "rule_22_bad_name": (get(b"A(b): c"), 400),
    "rule_22_8_bit_name": (get(b"\xe9: c"), 400),
    "rule_23_nul_in_value": (get(b"A: b\0c"), 400),
    "rule_23_control_in_value": (get(b"A: b\x0bc"), 400),
    "rule_23_del_in_value": (get(b"A: b\x7f"), 400),
    "rule_23_cr_in_value": (get(b"A: b\rc"), 400),
    "rule_25_cr_x_at_the_end": (b"GET / HTTP/1.1\r\nHost: test\r\n\rX", 400),
    "rule_25_lf_at_the_end": (b"GET / HTTP/1.1\r\nHost: test\r\n\n", 400),
    "rule_26_long_field": (get(b"A: " + b"b" * 9000), 431),
    "rule_26_long_field_without_end": (b"GET / HTTP/1.1\r\nHost: test\r\nA: " + b"b" * 9000, 431),
    "rule_26_many_fields": (get(*[b"A: b"] * 101), 431),
    "rule_26_large_section": (get(*[b"A: " + b"b" * 7000] * 10), 431),
    "rule_27_two_content_types": (post(b"Content-Type: a/b", b"Content-Type: a/b", b"Content-Length: 0"), 400),
    # C. Framing
    "rule_33_length_then_coding": (
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    "rule_33_coding_then_length": (
        post(b"TRANSFER-ENCODING: Chunked", b"content-length: 5", body=b"0\r\n\r\n"),
        400,
    ),
    "rule_34_coding_in_http_1_0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "rule_35_two_lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"12345"), 400),
    "rule_35_equal_lengths": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"12345"), 400),
    "rule_35_length_list": (post(b"Content-Length: 5, 5", body=b"12345"), 400),
    **{
        f"rule_36_length_{value.decode('latin-1')!r}": (post(b"Content-Length: " + value, body=b"12345"), 400)
        for value in (
            b"+5",
            b"-5",
            b"-0",
            b"0x5",
            b"0o5",
            b"5_0",
            b"5a",
            b"5.0",
            b"1 0",
            b"",
            b"5;x",
            b"\xd9\xa5",
            b"9" * 20,
            b"18446744073709551621",
        )
    },
    **{
        f"rule_38_coding_{value.decode('latin-1')!r}": (post(b"Transfer-Encoding: " + value, body=b"0\r\n\r\n"), 400)
        for value in (
            b"chunked, chunked",
            b"chunked, gzip",
            b"",
            b",chunked",
            b"chunked,",
            b"chunked;a=b",
            b'"chunked"',
            b"chu nked",
            b"\x0bchunked",
            b"chunked\0",
        )
    },
    "rule_38_two_codings": (post(*[b"Transfer-Encoding: chunked"] * 2, body=b"0\r\n\r\n"), 400),
    "rule_38_gzip_chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "rule_38_coding_before_underscore_twin": (post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    **{
        f"rule_39_size_{value.decode('latin-1')!r}": (chunked(value + b"\r\nhello\r\n0\r\n\r\n"), 400)
        for value in (b"", b"0x5", b"+5", b"-5", b"5_", b"1g", b" 5", b"1 0", b"5 ", b"f" * 17, b"f" * 16)
    },
    "rule_40_size_line_lf": (chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    "rule_40_size_line_cr_x": (chunked(b"5\rXhello\r\n0\r\n\r\n"), 400),
    "rule_40_data_lf": (chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    "rule_41_bare_semicolon": (chunked(b"5;\r\nhello\r\n0\r\n\r\n"), 400),
    "rule_41_extension_control": (chunked(b"5;a=\x01\r\nhello\r\n0\r\n\r\n"), 400),
    "rule_41_extension_lf": (chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    "rule_41_open_quote": (chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), 400),
    "rule_41_long_extension": (chunked(b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    "rule_42_spill": (chunked(b"5\r\nhelloSPILL\r\n0\r\n\r\n"), 400),
    "rule_44_folded_trailer": (chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), 400),
    "rule_44_bad_trailer": (chunked(b"5\r\nhello\r\n0\r\nno colon\r\n\r\n"), 400),
    "rule_44_many_trailers": (chunked(b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), 431),
    "rule_49_large_length": (post(b"Content-Length: 1025"), 413),
    "rule_49_large_length_expected": (post(b"Expect: 100-continue", b"Content-Length: 1025"), 413),
    "rule_49_large_chunk": (chunked(b"401\r\n"), 413),
    "rule_49_large_chunks": (chunked((b"200\r\n" + b"a" * 0x200 + b"\r\n") * 3), 413),
    # D. Expect
    "rule_56_unknown": (post(b"Expect: x", b"Content-Length: 5", body=b"12345"), 417),
    "rule_56_list": (post(b"Expect: x, 100-continue", b"Content-Length: 5", body=b"12345"), 417),
    "rule_56_two": (post(*[b"Expect: 100-continue"] * 2, b"Content-Length: 5", body=b"12345"), 417),
    "rule_56_vertical_tab": (post(b"Expect: 100-continue\x0b", b"Content-Length: 5", body=b"12345"), 400),
}


@pytest.fixture(scope="module")
def served():
    app = Recording()
    with serve(app, limit_request_body=1024) as url:
        yield app, url


@pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())
@pytest.mark.parametrize("vector", REFUSED)
def test_refused(served, vector, way):
    data, status = REFUSED[vector]
    app, url = served
    app.calls.clear()
    if way is Way.BYTES and len(data) > 1000:
        pytest.skip("a limit, and not a matter of single bytes; tests/wire/ goes through them")
    with Client(url) as client:
        send(client, data + BEHIND, way)
        if way.pipelined:
            assert client.read_response().body == b"/neighbour"
        response = client.read_response()
        assert response.status == status
        assert response.headers["connection"] == "close"
        assert "date" in response.headers
        assert client.is_closed()
    assert app.targets == (["/neighbour"] if way.pipelined else [])


def test_rule_1_to_56_the_server_goes_on(served):
    app, url = served
    app.calls.clear()
    with Client(url) as client:
        assert client.get("/still").body == b"/still"
    assert app.targets == ["/still"]

"""Rules 33 to 38 and 52 to 59: what the head says about the body, the expectation and the connection."""

import pytest

CLOSE, KEEP_ALIVE, UPGRADE, CONTINUE = 16, 32, 64, 128


def request(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"POST / HTTP/" + version + b"\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    "coding", [b"Transfer-Encoding: chunked", b"tRANSFER-eNCODING: CHUNKED", b"Transfer-Encoding: x"]
)
@pytest.mark.parametrize("length", [b"Content-Length: 5", b"content-length: 0"])
def test_rule_33_length_with_coding_is_refused(status, version, coding, length):
    assert status(request(length, coding, version=version)) == 400
    assert status(request(coding, length, version=version)) == 400


def test_rule_34_no_transfer_coding_in_http_1_0(status):
    assert status(request(b"Transfer-Encoding: chunked", version=b"1.0")) == 400


@pytest.mark.parametrize("second", [b"5", b"6", b"", b"x"])
def test_rule_35_two_lengths_are_refused(status, second):
    assert status(request(b"Content-Length: 5", b"Content-Length: " + second)) == 400
    assert status(request(b"Content-Length: " + second, b"Content-Length: 5")) == 400
    assert status(request(b"Content-Length: 5, " + second)) == 400


@pytest.mark.parametrize(
    "value",
    [
        b"+5", b"-5", b"-0", b"0x5", b"0o5", b"5_0", b"5a", b"5.0", b"1 0", b"", b"5;x", b"5,", b",5", b"\xd9\xa5",
        b"\xb2", b"5\x0b", b"\x0c5", b"1e3", b'"5"', b"9223372036854775808", b"9999999999999999999",
        b"10000000000000000000", b"18446744073709551621", b"0" * 20, b"1" * 400,
    ],
)  # fmt: skip
def test_rule_36_content_length_is_digits_only(status, value):
    assert status(request(b"Content-Length: " + value)) == 400


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0), (b"0010", 10), (b"10\t", 10), (b"  10  ", 10), (b"010", 10), (b"08", 8), (b"0" * 18 + b"7", 7),
        (b"9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_rule_37_content_length_is_decimal(judge, value, length):
    assert judge(request(b"Content-Length:" + value)).content_length == length


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED", b" \tchunked\t "])
def test_rule_38_chunked_once_is_chunked(judge, value):
    head = judge(request(b"Transfer-Encoding:" + value))
    assert head.chunked
    assert head.content_length is None


@pytest.mark.parametrize(
    "value",
    [
        b"chunked, chunked", b"chunked, gzip", b"identity", b"gzip", b"", b",chunked", b"chunked,", b",",
        b"chunked;a=b", b'"chunked"', b"xchunked", b"chunkedx", b"\x0bchunked", b"chunked\x00", b"chu nked",
        b"chunked, gzip, chunked", b"gzip;q=1, chunked", b"gzip chunked", b"gzip,, chunked", b"chunked\x0b",
        b"\xa0chunked", b"chunked\x85",
    ],
)  # fmt: skip
def test_rule_38_anything_that_does_not_end_in_one_chunked_is_refused(status, value):
    assert status(request(b"Transfer-Encoding: " + value)) == 400


@pytest.mark.parametrize("value", [b"gzip, chunked", b"gzip,chunked", b"x, y , chunked", b"identity, chunked"])
def test_rule_38_another_coding_before_chunked_is_not_implemented(status, value):
    assert status(request(b"Transfer-Encoding: " + value)) == 501


@pytest.mark.parametrize(
    "values", [(b"chunked", b"chunked"), (b"gzip", b"chunked"), (b"chunked", b"identity"), (b"", b"chunked")]
)
def test_rule_38_two_transfer_encoding_lines_are_refused(status, values):
    assert status(request(*[b"Transfer-Encoding: " + value for value in values])) == 400


def test_rule_38_a_name_that_only_looks_like_it_is_another_field(judge):
    for name in (b"Transfer_Encoding", b"Transfer-Encodin", b"XTransfer-Encoding", b"Transfer-Encoding-"):
        assert not judge(request(name + b": chunked")).chunked


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b" 100-continue "])
def test_rule_52_one_plain_expectation_is_seen(judge, value):
    assert judge(request(b"Expect:" + value)).flags & CONTINUE


def test_rule_54_http_1_0_has_no_expectations(status):
    assert status(request(b"Expect: anything", version=b"1.0")) == 200
    assert status(request(b"Expect: 100-continue", version=b"1.0")) == 200


@pytest.mark.parametrize(
    "lines",
    [
        [b"Expect: x"], [b"Expect:"], [b"Expect: x, 100-continue"], [b"Expect: 100-continue, x"],
        [b"Expect: 100-continue;q=1"], [b"Expect: 100 continue"], [b"Expect: 100-continue", b"Expect: 100-continue"],
        [b"Expect: x", b"Expect: 100-continue"], [b"Expect: 100-continue", b"Expect: x"], [b"Expect: 100-continu"],
        [b'Expect: "100-continue"'],
    ],
)  # fmt: skip
def test_rule_56_any_other_expectation_fails(status, lines):
    assert status(request(*lines)) == 417


def test_rule_56_an_obfuscated_expectation_is_a_bad_line(status):
    assert status(request(b"Expect: 100-continue\x0b")) == 400


@pytest.mark.parametrize(
    ("lines", "flags"),
    [
        ([], 0),
        ([b"Connection: close"], CLOSE),
        ([b"Connection: CLOSE"], CLOSE),
        ([b"Connection: keep-alive"], KEEP_ALIVE),
        ([b"Connection: keep-alive, close"], KEEP_ALIVE | CLOSE),
        ([b"Connection: keep-alive", b"connection: close"], KEEP_ALIVE | CLOSE),
        ([b"Connection: ,, ,close,,"], CLOSE),
        ([b"Connection:\tkeep-alive\t,\tUpgrade , HTTP2-Settings"], KEEP_ALIVE | UPGRADE),
        ([b"Connection: closed"], 0),
        ([b"Connection: xclose"], 0),
        ([b"Connection: close x"], 0),
        ([b"Connection:"], 0),
        ([b"Proxy-Connection: close"], 0),
    ],
)
def test_rule_58_connection_is_a_list(judge, lines, flags):
    assert judge(request(*lines)).flags & (CLOSE | KEEP_ALIVE | UPGRADE) == flags

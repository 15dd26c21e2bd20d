"""Rules 39 to 45 and 49: the chunked coding. Tests are named by the rule they hold."""

import pytest

from pronghorn.errors import PeerError
from pronghorn.wire.framing import ChunkedDecoder


@pytest.fixture(scope="module")
def status(judge_body):
    """The verdict as a number: 200 for a complete body, None for an incomplete one."""

    def find(data, **limits):
        verdict = judge_body(data, **limits)
        if isinstance(verdict, PeerError):
            return verdict.status
        return 200 if verdict[1] else None

    return find


def test_a_body_is_its_chunks_and_what_is_behind_it_is_left_alone(judge_body):
    assert judge_body(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n") == (b"hello world", True, b"")
    assert judge_body(b"0\r\n\r\nGET / HTTP/1.1\r\n") == (b"", True, b"GET / HTTP/1.1\r\n")
    assert judge_body(b"5\r\n\r\n0\r\n\r\n0\r\n\r\n") == (b"\r\n0\r\n", True, b"")


@pytest.mark.parametrize("size", [b"a", b"A", b"0a", b"000000000000000A"])
def test_rule_39_a_size_is_hexadecimal_in_either_case(judge_body, size):
    assert judge_body(size + b"\r\n0123456789\r\n0\r\n\r\n")[0] == b"0123456789"
    assert judge_body(b"ff\r\n" + b"x" * 255 + b"\r\n00\r\n\r\n")[:2] == (b"x" * 255, True)


@pytest.mark.parametrize(
    "size",
    [
        b"", b"0x1", b"x", b"+1", b"-1", b"1_0", b"1g", b" 1", b"\t1", b"1 0", b"1 ", b"1\t", b"1\x0b", b"\x001",
        b"1\x00", b"\xb2", b"1.0", b"1,", b"00000000000000001", b"0" * 40,
    ],
)  # fmt: skip
def test_rule_39_a_size_is_hexadecimal_digits_only(status, size):
    assert status(size + b"\r\nx\r\n0\r\n\r\n") == 400


@pytest.mark.parametrize("size", [b"8000000000000000", b"ffffffffffffffff", b"FFFFFFFFFFFFFFFE", b"10000000000000001"])
def test_rule_39_a_size_cannot_overflow(status, size):
    assert status(size + b"\r\nx", body=2**64 - 1) == 400


def test_rule_39_the_largest_size_is_only_too_large(status):
    assert status(b"7fffffffffffffff\r\nx") == 413
    assert status(b"7fffffffffffffff\r\nx", body=2**64 - 1) is None
    assert status(b"1\r\nx\r\n7fffffffffffffff\r\n", body=2**63 - 1) == 413


@pytest.mark.parametrize(
    "data",
    [
        b"1\nx\r\n0\r\n\r\n", b"1\rx\r\n0\r\n\r\n", b"1\r\r\nx\r\n0\r\n\r\n", b"1\r\nx\n0\r\n\r\n",
        b"1\r\nx\r0\r\n\r\n", b"1\r\nx\r\r\n0\r\n\r\n", b"1\r\nx\r\n0\n\r\n", b"1\r\nx\r\n0\r\r\n",
        b"1\r\nx\r\n0\r\n\n", b"1\r\nx\r\n0\r\n\rx", b"1;a\nx\r\n0\r\n\r\n", b"1;a\rx", b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\rz\r\n\r\n", b"0\r\nX\n", b"0\r\n\r\r\n",
    ],
)  # fmt: skip
def test_rule_40_every_line_ends_in_crlf(status, data):
    assert status(data) == 400


@pytest.mark.parametrize(
    "extension",
    [
        b";a", b";a=b", b";a=b;c=d;e", b' ; a = "b c"\t;\td', b';a=""', b';a="\\"\\\\;\\x"', b';a="\x80\xff\t"',
        b"; a\t= b ;c", b";!#$%&'*+-.^_`|~=0",
    ],
)  # fmt: skip
def test_rule_41_extensions_are_ignored(judge_body, extension):
    assert judge_body(b"1" + extension + b"\r\nx\r\n0" + extension + b"\r\n\r\n") == (b"x", True, b"")


@pytest.mark.parametrize(
    "extension",
    [
        b";", b"; ", b";;", b";a;", b";=b", b";a=", b";a= ", b";a b", b";a=b c", b";a=b=c", b";a ", b";a=b ", b" ",
        b';a="b', b';a="b" ', b';a="b"c', b';a="b\x00"', b';a="b\n"', b';a="b\r\n"', b';a="\\\r\n"', b";a\x00",
        b";a=\x7f", b";\x80", b";a=b\x0b", b",a", b';"a"', b";a='b c'", b";(a)", b";a=b,c",
    ],
)  # fmt: skip
def test_rule_41_malformed_extensions_are_refused(status, extension):
    assert status(b"1" + extension + b"\r\nx\r\n0\r\n\r\n") == 400


def test_rule_41_extensions_are_limited_per_line_and_in_all(status):
    assert status(b"1;" + b"a" * 4095 + b"\r\nx\r\n0\r\n\r\n") == 200
    assert status(b"1;" + b"a" * 4096) == 400
    chunk = b"1;" + b"a" * 1023 + b"\r\nx\r\n"
    assert ChunkedDecoder().feed(chunk * 16 + b"0\r\n\r\n") == b"x" * 16
    with pytest.raises(PeerError) as error:
        ChunkedDecoder().feed(chunk * 16 + b"0;a\r\n\r\n")
    assert error.value.status == 400


@pytest.mark.parametrize("data", [b"1\r\nxy\r\n0\r\n\r\n", b"2\r\nx\r\n0\r\n\r\n", b"1\r\nx0\r\n\r\n", b"0\r\nx"])
def test_rule_42_data_is_followed_by_crlf(status, data):
    assert status(data + b"\r\n\r\n") == 400


def test_rule_43_a_body_without_its_last_crlf_is_incomplete(status, judge_body):
    for data in (b"", b"1", b"1\r\n", b"1\r\nx", b"1\r\nx\r\n", b"0", b"0\r", b"0\r\n", b"0\r\n\r", b"0\r\nX: y\r\n"):
        assert status(data) is None
    assert judge_body(b"0\r\nX:POST / HTTP/1.1\r\n\r\n") == (b"", True, b"")


@pytest.mark.parametrize(
    "trailers", [b"X: y", b"X:", b"X:\ty \r\nY: \x80\xff", b"Content-Length: 5\r\nHost: b\r\nTransfer-Encoding: x"]
)
def test_rule_44_trailers_are_dropped(judge_body, trailers):
    assert judge_body(b"1\r\nx\r\n0\r\n" + trailers + b"\r\n\r\nrest") == (b"x", True, b"rest")


@pytest.mark.parametrize(
    "trailers",
    [
        b" X: y", b"\tX: y", b"X: y\r\n z", b"X : y", b"X\t: y", b": y", b"X", b"GET / HTTP/1.1", b"X: \0",
        b"X: \x7f", b"X\0: y", b"\x80: y", b"X(: y", b"X: y\x0b", b"\0",
    ],
)  # fmt: skip
def test_rule_44_trailers_are_held_to_the_rules_of_header_lines(status, trailers):
    assert status(b"0\r\n" + trailers + b"\r\n\r\n") == 400


def test_rule_44_trailers_are_limited_like_header_lines(status):
    end = b"0\r\nAb: cdef\r\nX: y\r\n\r\n"
    assert status(end, fields=2, field_line=8, section=len(end) - 3) == 200
    assert status(end, fields=1) == 431
    assert status(end, field_line=7) == 431
    for section in range(len(end) - 3):
        assert status(end, section=section) == 431
    assert status(b"0\r\n" + b"A" * 9, field_line=8) == 431
    assert status(b"0\r\nA:" + b"b" * 7, field_line=8) == 431


@pytest.mark.parametrize(("count", "size"), [(1000, 1000), (10_000, 100), (100_000, 10)])
def test_rule_45_bodies_in_small_chunks_pass(count, size):
    decoder = ChunkedDecoder()
    assert len(decoder.feed(b"%x\r\n%b\r\n" % (size, b"x" * size) * count + b"0\r\n\r\n")) == count * size
    assert decoder.done


def test_rule_45_a_flood_of_tiny_chunks_is_refused():
    with pytest.raises(PeerError) as error:
        ChunkedDecoder().feed(b"1\r\nx\r\n" * 1_000_000)
    assert error.value.status == 400


def test_rule_45_extensions_that_outweigh_the_data_are_refused():
    with pytest.raises(PeerError) as error:
        ChunkedDecoder().feed((b"64;" + b"e" * 1024 + b"\r\n" + b"x" * 100 + b"\r\n") * 100)
    assert error.value.status == 400


def test_rule_49_a_body_over_its_limit_is_refused_before_its_data(status):
    assert status(b"5\r\nhello\r\n0\r\n\r\n", body=5) == 200
    assert status(b"5\r\n", body=4) == 413
    assert status(b"3\r\nabc\r\n2\r\n", body=4) == 413
    assert status(b"0\r\n\r\n", body=0) == 200

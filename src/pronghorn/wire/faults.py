"""The table of faults: what each negative code of the parsers means and which response it gets.

The same names and numbers stand in faults.pxd for the Cython rooms; tests/wire/test_faults.py holds the two together.
The status is the RFC's where it names one, and 400 where it leaves a choice: a proxy in front treats 400 as final and
does not repeat the request elsewhere.
"""

from dataclasses import dataclass

from pronghorn.errors import PeerError

__all__ = ["FAULTS", "REASONS", "SILENCE", "Fault", "peer_error"]

SILENCE = 0
"""In the place of a status: the connection is closed without an answer, and one line in the error log says why."""

REASONS = {
    SILENCE: "",
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a request cannot be served."""

    name: str
    code: int
    status: int
    detail: str

    @property
    def reason(self) -> str:
        """The reason phrase of the status line (RFC 9110 section 15)."""
        return REASONS[self.status]


_TABLE = (
    # The request line: RFC 9112 sections 2.2 and 3
    Fault("BAD_START", -1, 400, "the first byte cannot begin an HTTP/1 request (TLS or HTTP/2 on a plain port?)"),
    Fault("EMPTY_LINES", -2, 400, "more than one empty line before the request line"),
    Fault("BARE_LF", -3, 400, "a line ends in LF without CR"),
    Fault("BARE_CR", -4, 400, "CR without LF behind it"),
    Fault(
        "BAD_BYTE", -5, 400, "a byte that may not stand in a request head (control, NUL, or 8-bit in the request line)"
    ),
    Fault("BAD_METHOD", -6, 400, "the method is not a token followed by one space"),
    Fault("LONG_METHOD", -7, 501, "the method is longer than any that is known"),
    Fault("BAD_TARGET", -8, 400, "the request target is none of the forms of RFC 9112 section 3.2"),
    Fault("FRAGMENT", -9, 400, "the request target holds a `#`"),
    Fault("USERINFO", -10, 400, "the request target holds user information (`user@host`)"),
    Fault("BAD_ASTERISK", -11, 400, "the target `*` belongs to OPTIONS alone"),
    Fault("BAD_VERSION", -12, 400, "the request line does not end in HTTP/digit.digit"),
    Fault("UNKNOWN_VERSION", -13, 505, "the version is neither HTTP/1.0 nor HTTP/1.1"),
    Fault("LONG_REQUEST_LINE", -14, 414, "the request line is over its limit"),
    Fault("CONNECT_METHOD", -15, 501, "CONNECT asks for a tunnel, and this server is not a proxy"),
    Fault("NUL_ESCAPE", -16, 400, "the path holds %00"),
    # The header section: RFC 9112 section 5
    Fault("FOLDED_LINE", -20, 400, "a header line begins with a space or tab (obsolete line folding)"),
    Fault("BAD_NAME", -21, 400, "a header line has no field name followed by a colon"),
    Fault("SPACED_NAME", -22, 400, "whitespace in a field name or between it and its colon"),
    Fault("LONG_FIELD", -23, 431, "a header line is over its limit"),
    Fault("MANY_FIELDS", -24, 431, "more header lines than the limit"),
    Fault("LARGE_SECTION", -25, 431, "the header section is over its limit"),
    Fault("UNDERSCORE_NAME", -26, 400, "a header name with an underscore (setting `header_map`)"),
    # Whole fields: RFC 9110 sections 5.3 and 7.2
    Fault("NO_HOST", -30, 400, "HTTP/1.1 without a Host field"),
    Fault("TWO_HOSTS", -31, 400, "more than one Host field"),
    Fault("BAD_HOST", -32, 400, "the host is empty or is not host[:port]"),
    Fault("OTHER_HOST", -33, 400, "the host of the request target and the Host field differ"),
    Fault("TWO_TYPES", -34, 400, "more than one Content-Type field"),
    Fault("TWO_AUTHORIZATIONS", -35, 400, "more than one Authorization field"),
    Fault("UNKNOWN_EXPECTATION", -36, 417, "Expect is not exactly `100-continue`"),
    Fault("MIXED_SCHEMES", -37, 400, "the proxy's headers contradict each other about the scheme"),
    Fault("TWO_FORWARDED", -38, 400, "a header that `forwarder_headers` names stands twice"),
    Fault("OTHER_MOUNT", -39, 500, "the path does not begin with SCRIPT_NAME, as the proxy or the environment has it"),
    # The framing of the body: RFC 9112 section 6
    Fault("BAD_LENGTH", -40, 400, "Content-Length is not 1 to 19 decimal digits or is beyond 2^63-1"),
    Fault("TWO_LENGTHS", -41, 400, "more than one Content-Length field"),
    Fault("BAD_CODING", -42, 400, "Transfer-Encoding does not end in one `chunked`"),
    Fault("TWO_CODINGS", -43, 400, "more than one Transfer-Encoding field"),
    Fault("UNKNOWN_CODING", -44, 501, "a transfer coding other than `chunked`"),
    Fault("LENGTH_AND_CODING", -45, 400, "Content-Length together with Transfer-Encoding"),
    Fault("OLD_CODING", -46, 400, "Transfer-Encoding in HTTP/1.0"),
    Fault("LARGE_BODY", -47, 413, "the body is over its limit"),
    # The chunked coding: RFC 9112 section 7.1
    Fault("BAD_CHUNK_SIZE", -50, 400, "a chunk size is not 1 to 16 hexadecimal digits"),
    Fault("HUGE_CHUNK", -51, 400, "a chunk size is beyond 2^63-1"),
    Fault("BAD_EXTENSION", -52, 400, "a chunk extension is not `;name` or `;name=value`"),
    Fault("LONG_EXTENSION", -53, 400, "the chunk extensions are over their limit"),
    Fault("BAD_CHUNK_END", -54, 400, "the data of a chunk is not followed by CRLF"),
    Fault("MANY_CHUNKS", -55, 400, "the body comes in far more chunks than its size warrants"),
    # Not of the parsers: what the engine answers by the same table
    Fault("LATE_REQUEST", -60, 408, "the request did not arrive in time"),
    Fault("OVERLOADED", -61, 503, "every thread is busy and the queue is full"),
    Fault("NO_STORAGE", -62, 507, "no room on disk to keep the body until the application reads it"),
    Fault("NO_MEMORY", -63, 500, "no memory to keep the body until the application reads it"),
    # What stands before a connection's first request: the PROXY protocol
    Fault("BAD_PROXY_LINE", -70, SILENCE, "the PROXY line (version 1) is malformed or longer than 107 octets"),
    Fault("BAD_PROXY_HEADER", -71, SILENCE, "the PROXY header (version 2) is malformed"),
    Fault("LARGE_PROXY_HEADER", -72, SILENCE, "the PROXY header (version 2) is longer than 4096 octets"),
    Fault("BAD_PROXY_CHECKSUM", -73, SILENCE, "the checksum of the PROXY header is wrong"),
    Fault("OTHER_PROXY_VERSION", -74, SILENCE, "the PROXY header is not of the version that `proxy_protocol` asks for"),
    Fault("FOREIGN_PROXY", -75, 400, "a PROXY header from a peer that `proxy_allow_ips` does not name"),
    # The uwsgi protocol
    Fault("BAD_PACKET", -80, SILENCE, "the uwsgi packet is malformed (HTTP on a uwsgi port?)"),
    Fault("OTHER_MODIFIER", -81, SILENCE, "the uwsgi packet is no WSGI request: a modifier is not 0 (HTTP, perhaps?)"),
    Fault("FOREIGN_UWSGI", -82, 403, "a uwsgi request from a peer that `uwsgi_allow_ips` does not name"),
    Fault("TWO_VARIABLES", -83, 400, "a uwsgi variable that is no header stands twice"),
    Fault("BAD_VARIABLE", -84, 400, "a uwsgi variable is missing or is not what CGI says it is"),
)

FAULTS = {fault.code: fault for fault in _TABLE}
"""Every fault by its code."""


def peer_error(code: int) -> PeerError:
    """The error that stands for a code of the table; KeyError where there is none."""
    fault = FAULTS[code]
    return PeerError(fault.status, fault.reason, fault.detail)

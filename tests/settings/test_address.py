"""How addresses are written."""

import pytest

from pronghorn.options.address import FdAddress, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        (":8000", TcpAddress("", 8000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("localhost", TcpAddress("localhost", 8000)),
        ("tcp://0.0.0.0:80", TcpAddress("0.0.0.0", 80)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("[::]", TcpAddress("::", 8000)),
        ("unix:/run/a.sock", UnixAddress("/run/a.sock")),
        ("unix:///run/a.sock", UnixAddress("/run/a.sock")),
        ("unix:a.sock", UnixAddress("a.sock")),
        ("fd://3", FdAddress(3)),
    ],
)
def test_right(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("8000", "write :8000"),
        ("::1", "brackets"),
        ("::1:8000", "brackets"),
        ("[::1", "write [::1]:8000"),
        ("[::1]8000", "write [::1]:8000"),
        ("host:", "no port"),
        ("host:http", "no port"),
        ("host:65536", "no port"),
        ("host:\u0663", "no port"),
        ("a b:80", "write host:port"),
        ("http://host", "no port"),
        ("", "write host:port"),
        ("unix:", "no path"),
        ("fd://-1", "no descriptor"),
    ],
)
def test_wrong(text, remedy):
    with pytest.raises(ValueError, match=remedy.replace("[", r"\[")):
        parse_address(text)

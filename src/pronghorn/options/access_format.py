"""Reads Gunicorn's access log format into a list of literals and atoms."""

import enum
import re

from pronghorn.errors import SettingsError

# `%(h)s`, `%({user-agent}i)s`. A conversion other than %s and %d would have to convert what no atom is.
_ATOM = re.compile(r"%(?:(?P<percent>%)|\((?:\{(?P<field>[^}]*)\}(?P<of>[ioe])|(?P<name>[^)]*))\)[sd])")


class Kind(enum.IntEnum):
    """What one piece of a line is; `access.pxd` has the same numbers."""

    LITERAL = 0
    REMOTE = 1
    DASH = 2
    USER = 3
    REQUEST_LINE = 4
    STATUS = 5
    ENVIRON = 6
    RESPONSE_FIELD = 7
    TIME = 8
    SENT = 9
    SECONDS = 10
    MICROSECONDS = 11
    MILLISECONDS = 12
    DECIMAL_SECONDS = 13
    PROCESS = 14


_PLAIN = {
    "h": (Kind.REMOTE, ""),
    "l": (Kind.DASH, ""),
    "u": (Kind.USER, ""),
    "t": (Kind.TIME, ""),
    "r": (Kind.REQUEST_LINE, ""),
    "s": (Kind.STATUS, ""),
    "m": (Kind.ENVIRON, "REQUEST_METHOD"),
    "U": (Kind.ENVIRON, "PATH_INFO"),
    "q": (Kind.ENVIRON, "QUERY_STRING"),
    "H": (Kind.ENVIRON, "SERVER_PROTOCOL"),
    "b": (Kind.SENT, ""),
    "B": (Kind.SENT, ""),
    "f": (Kind.ENVIRON, "HTTP_REFERER"),
    "a": (Kind.ENVIRON, "HTTP_USER_AGENT"),
    "T": (Kind.SECONDS, ""),
    "D": (Kind.MICROSECONDS, ""),
    "M": (Kind.MILLISECONDS, ""),
    "L": (Kind.DECIMAL_SECONDS, ""),
    "p": (Kind.PROCESS, ""),
}

# The two fields that CGI, and so PEP 3333, names without HTTP_.
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")


def compile_format(text: str) -> list[tuple[Kind, str]]:
    """The pieces of the format `text`, in order; an atom nobody knows becomes a dash, as Gunicorn has it.

    Raises SettingsError, naming the place, for a `%` that begins no atom.
    """
    pieces: list[tuple[Kind, str]] = []
    at = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            percent = len(text)
        if percent > at:
            pieces.append((Kind.LITERAL, text[at:percent]))
        if percent == len(text):
            break
        found = _ATOM.match(text, percent)
        if found is None:
            raise SettingsError(
                f"access_log_format has {text[percent : percent + 8]!r} at character {percent + 1}, which is no atom; "
                "write %(h)s, %({user-agent}i)s and the like, and %% for a percent sign"
            )
        pieces.append(_piece(found))
        at = found.end()
    return pieces


def _piece(found: re.Match[str]) -> tuple[Kind, str]:
    if found["percent"]:
        return Kind.LITERAL, "%"
    field = found["field"]
    if field is None:
        return _PLAIN.get(found["name"], (Kind.DASH, ""))
    if found["of"] == "o":
        return Kind.RESPONSE_FIELD, field.lower()
    if found["of"] == "e":
        return Kind.ENVIRON, field
    name = field.upper().replace("-", "_")
    return Kind.ENVIRON, name if name in _UNPREFIXED else f"HTTP_{name}"

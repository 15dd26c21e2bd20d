"""The words of a shell command with their places, so that what is not changed stays as it was written."""

import re
from enum import Enum

from msgspec import Struct

BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
COMMENT = re.compile(r"#[^\n]*")
REDIRECT = re.compile(r"&?\d*(?:<<<|>>|<>|>\||[<>])(?:&\d*-?)?")
BREAK = re.compile(r"[\n;()]+|&&|\|\|?&?|&")
PLAIN = re.compile(r"[^\s\\'\"$`;&|<>()]+")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
RAW = re.compile(r"'([^']*)'")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
VARIABLE = re.compile(r"\$(?:\w+|[@*#?$!-])?")
CLOSING = {"$(": ")", "${": "}"}


class Kind(Enum):
    """What a piece of a command line is."""

    WORD = "word"
    BREAK = "break"
    """What ends a simple command: `&&`, `;`, a newline."""
    REDIRECT = "redirect"
    """A redirection, with the word it leads to."""


class Word(Struct, frozen=True):
    """One piece: `line[start:end]` as written, `text` without its quotes. What the shell expands stands as it is."""

    kind: Kind
    start: int
    end: int
    text: str


def split(line: str) -> list[Word]:
    """The pieces of a command line. ValueError if a quotation or an expansion does not end."""
    words: list[Word] = []
    place = 0
    redirected = False
    while place < len(line):
        if found := BLANK.match(line, place) or COMMENT.match(line, place):
            place = found.end()
        elif found := REDIRECT.match(line, place):
            words.append(Word(Kind.REDIRECT, place, found.end(), found[0]))
            # The next word is where it leads to, unless that stands there already: `2>&1`.
            redirected = "&" not in found[0].lstrip("&")
            place = found.end()
        elif found := BREAK.match(line, place):
            words.append(Word(Kind.BREAK, place, found.end(), found[0]))
            place = found.end()
        else:
            text, end = _word(line, place)
            words.append(Word(Kind.REDIRECT if redirected else Kind.WORD, place, end, text))
            redirected = False
            place = end
    return words


def _word(line: str, place: int) -> tuple[str, int]:
    """The text of the word that begins at `place`, and where it ends."""
    text = ""
    while place < len(line):
        opening = line[place : place + 2]
        if opening in CLOSING:
            end = _closing(line, place + 2, CLOSING[opening])
            text += line[place:end]
        elif line[place] == "`":
            end = line.find("`", place + 1) + 1
            if not end:
                raise ValueError("no closing `")
            text += line[place:end]
        elif found := QUOTED.match(line, place):
            text += re.sub(r'\\(["\\$`])', r"\1", found[1])
            end = found.end()
        elif found := RAW.match(line, place) or ESCAPED.match(line, place):
            text += "" if found[0] == "\\\n" else found[1]
            end = found.end()
        elif found := PLAIN.match(line, place) or VARIABLE.match(line, place):
            text += found[0]
            end = found.end()
        elif line[place] in "'\"":
            raise ValueError(f"no closing {line[place]}")
        else:
            break
        place = end
    if place < len(line) and line[place] == "\\":
        raise ValueError("nothing behind the last \\")
    return text, place


def _closing(line: str, place: int, mark: str) -> int:
    """Behind the mark that closes an expansion, with others inside it."""
    opening = {")": "(", "}": "{"}[mark]
    depth = 1
    while place < len(line) and depth:
        depth += (line[place] == opening) - (line[place] == mark)
        place += 1
    if depth:
        raise ValueError(f"no closing {mark}")
    return place


def edited(line: str, changes: dict[Word, str | None]) -> str:
    """The line with some words written anew, and those that are None taken out with the blanks before them."""
    place, parts = 0, []
    for word in sorted(changes, key=lambda word: word.start):
        new = changes[word]
        kept = line[place : word.start]
        place = word.end
        if new is None:
            bare = re.sub(r"(?:[ \t\r]|\\\r?\n)+$", "", kept)
            if not bare.endswith("\n"):
                parts.append(bare)
                continue
            # A line of comment stands before: the blanks behind are taken instead.
            following = BLANK.match(line, place)
            place = following.end() if following else place
        parts += [kept, new or ""]
    return "".join([*parts, line[place:]])


def quoted(written: str, text: str) -> str:
    """The text in the quotation marks that the word had which is written anew."""
    if written.startswith('"'):
        return '"' + re.sub(r'(["\\`])', r"\\\1", text) + '"'
    return "'" + text.replace("'", "'\\''") + "'"

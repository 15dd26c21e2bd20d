"""How this process was started, so that an upgrade can start it again."""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pronghorn.linux import process_name

INITS = frozenset({"catatonit", "docker-init", "dumb-init", "tini", "tini-static"})
"""Process 1 of containers (`docker run --init`): it ends, and with it everything, when the child it started ends."""


@dataclass(frozen=True, slots=True)
class Command:
    """How this process was started, so that it can be started again.

    Arguments:
        program: what is run: the script, if its first line names the interpreter that runs it, so that the
            interpreter it names at the time of the upgrade is taken; else the interpreter.
        arguments: all of them, the program's name first.
        folder: the current directory as the shell knows it: where it leads through a symbolic link (`current`), the
            link is followed anew.
        environ: without what an application imported here may have added.
    """

    program: str
    arguments: tuple[str, ...]
    folder: str
    environ: Mapping[str, str]

    @classmethod
    def of_this_process(cls) -> "Command":
        """Called before anything of the application runs."""
        words = tuple(sys.orig_argv)
        program = sys.executable
        if len(words) > 1 and _interpreter_of(words[1]) == words[0]:
            program, words = words[1], words[1:]
        return cls(str(Path(program).absolute()), words, _logical_folder(), dict(os.environ))


def _interpreter_of(script: str) -> str:
    try:
        with Path(script).open("rb") as file:
            line = file.readline(4096)
    except OSError:
        return ""
    if not line.startswith(b"#!") or not os.access(script, os.X_OK):
        return ""
    return os.fsdecode(line[2:].strip())


def _logical_folder() -> str:
    real = str(Path.cwd())
    said = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if said and Path(said).samefile(real):
            return said
    return real


def obstacle() -> str:
    """Why no other process may take this one's place; empty if one may."""
    if os.getpid() == 1:
        return (
            "this arbiter is process 1 of a container, which ends with it; start a new container, "
            "or HUP for new code without preload_app"
        )
    if os.getppid() == 1:
        name = ""
        with contextlib.suppress(OSError):
            name = process_name(1)
        if name in INITS:
            return (
                f"{name} ends the container when this arbiter leaves; start a new container, "
                "or HUP for new code without preload_app"
            )
    return ""

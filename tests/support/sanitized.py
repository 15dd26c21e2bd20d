"""What `make test-asan` changes for the tests: the suite runs on a debug build with AddressSanitizer and UBSan."""

import os
from pathlib import Path

from fuzz.targets import REPLAY, SANITIZED

ADDRESS_SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
"""Whether this is such a run."""

FUZZ_BUILD = SANITIZED if ADDRESS_SANITIZED else REPLAY
"""The build of fuzz/ in which inputs are replayed and steps are counted."""


def preloading(library: Path | str) -> str:
    """The LD_PRELOAD of a process that is to have `library` beside what this one has.

    Behind it: the sanitizer must be loaded before all else.
    """
    return f"{os.environ.get('LD_PRELOAD', '')} {library}".strip()

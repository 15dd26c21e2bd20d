"""Counts what parsing costs: `python -m fuzz.steps BUILD` reads cases from standard input and writes a count for each.

A case is [target, octets as latin-1, octets of a piece, limit]; the target is one that has a function `steps`.
"""

import importlib
import json
import sys

from fuzz.targets import use_build

if __name__ == "__main__":
    use_build(sys.argv[1])
    counts = [
        importlib.import_module(f"fuzz.targets.{target}").steps(text.encode("latin-1"), piece, limit)
        for target, text, piece, limit in json.load(sys.stdin)
    ]
    json.dump(counts, sys.stdout)

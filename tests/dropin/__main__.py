"""`python -m tests.dropin`: plays the configurations on both servers and tells what differs."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.dropin import report
from tests.dropin.cases import CASES
from tests.dropin.compare import KEPT, differences
from tests.dropin.differences import MEANT
from tests.dropin.scene import GUNICORN, PRONGHORN, Kind, Scene


def play(name: str, kind: Kind) -> object:
    """One case in a folder of its own."""
    case = next(case for case in CASES if case.title == name)
    with tempfile.TemporaryDirectory(prefix="dropin-") as folder:
        return json.loads(json.dumps(Scene(case, kind, Path(folder)).play()))


def main() -> int:
    """The exit status: 1 when they differ where it is not meant, or something is listed that is not seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.dropin", description="Compares with Gunicorn.")
    parser.add_argument("cases", nargs="*", default=[case.title for case in CASES])
    parser.add_argument("--write", action="store_true", help="keep what Gunicorn shows for the tests")
    chosen = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    used, wrong = set(), 0
    for name in chosen.cases:
        try:
            kept[name] = play(name, GUNICORN)
            found = differences(name, kept[name], play(name, PRONGHORN))
        except (AssertionError, OSError) as error:
            print(f"{name}: cannot be played: {error}", flush=True)
            wrong += 1
            continue
        for one in found:
            covering = [meant for meant in MEANT if meant.covers(one)]
            used.update(covering)
            if not covering:
                wrong += 1
                print(one, flush=True)
    if len(chosen.cases) == len(CASES):
        unseen = [meant for meant in MEANT if meant not in used]
        wrong += len(unseen)
        for meant in unseen:
            print(f"listed and not seen: {meant}")
    if chosen.write:
        KEPT.write_text(json.dumps({name: kept[name] for name in sorted(kept)}, indent=1, sort_keys=True) + "\n")
        report.PAGE.write_text(report.page())
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())

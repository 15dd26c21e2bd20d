"""`python -m tests.faults`: every case in its long form, on Pronghorn and beside it on Gunicorn; JSON and the document.

make faults                       the long form
make faults GUNICORN=1            the same on Gunicorn too
make soak MINUTES=30              everything at random for half an hour
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults import report
from tests.faults.cases import CASES
from tests.faults.cases.soak import SOAK
from tests.faults.scene import Case, Finding, Scene
from tests.faults.servers import GUNICORN, SERVERS

RESULTS = Path(__file__).parent / "results.json"


def arguments() -> argparse.Namespace:
    """The command line."""
    known = {case.name: case for case in (*CASES, SOAK)}
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Breaks the server under load.")
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help=f"{', '.join(known)}; by default all but the last")
    add("--gunicorn", action="store_true", help="play them on Gunicorn too")
    add("--only-gunicorn", action="store_true", help="play them on Gunicorn alone")
    add("--short", action="store_true", help="as short as in the test suite")
    add("--minutes", type=float, default=30, help="how long the soak lasts (30)")
    add("--seed", type=int, default=random.randrange(10**6), help="repeats the order of an earlier run")
    add("--write", action="store_true", help="keep the results and write docs/reliability.md")
    add("--render", action="store_true", help="play nothing: write docs/reliability.md from the results that are kept")
    chosen = parser.parse_args()
    if unknown := set(chosen.cases) - set(known):
        parser.error(f"no case is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if (chosen.gunicorn or chosen.only_gunicorn) and not GUNICORN.exists():
        parser.error("Gunicorn is not installed: run `make faults GUNICORN=1`, which installs it into build/gunicorn")
    chosen.cases = [known[name] for name in chosen.cases] or list(CASES)
    return chosen


def play(case: Case, server: str, rounds: int, seed: int) -> Finding:
    """One case on one server, in a folder of its own. A case that breaks down is a broken claim."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        scene = Scene(case, SERVERS[server], Path(folder), rounds=rounds, seed=seed)
        if server == "gunicorn" and case.no_gunicorn:
            scene.finding.unavailable = case.no_gunicorn
            return scene.finding
        began = time.monotonic()
        try:
            finding = scene.play(case)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            finding = scene.finding
            scene.claim("the case can be played to its end", kept=False, detail=f"{type(error).__name__}: {error}")
        finding.seconds = round(time.monotonic() - began, 1)
        return finding


def tell(finding: Finding) -> None:
    """One line, and the broken claims."""
    figures = f"{finding.sent} sent, {finding.failed} failed, {finding.failed_after_retry} after a retry"
    print(
        f"{finding.case:16} {finding.server:10} {finding.unavailable or figures}, {finding.seconds:.1f} s", flush=True
    )
    if finding.facts:
        print("    " + ", ".join(f"{name} {value:g}" for name, value in finding.facts.items()), flush=True)
    for claim in {claim.text: claim for claim in finding.broken}.values():
        print(f"    not kept: {claim.text}: {claim.detail[-700:]}", flush=True)
    for example in finding.examples[:3] if finding.broken else ():
        print(f"    {example}", flush=True)


def main() -> int:
    """Plays what is asked for; 1 if Pronghorn broke a claim."""
    chosen = arguments()
    # Told to stop, it stops the servers too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if chosen.render:
        report.write(RESULTS)
        return 0
    servers: Sequence[str] = ("gunicorn",) if chosen.only_gunicorn else ("pronghorn",)
    if chosen.gunicorn:
        servers = ("pronghorn", "gunicorn")
    print(f"seed {chosen.seed}", flush=True)
    findings = []
    for case in chosen.cases:
        rounds = case.short if chosen.short else round(60 * chosen.minutes) if case is SOAK else case.long
        for server in servers:
            findings.append(play(case, server, rounds, chosen.seed))
            tell(findings[-1])
    if chosen.write:
        keep(findings)
        report.write(RESULTS)
    return int(any(finding.broken for finding in findings if finding.server == "Pronghorn"))


def keep(findings: Sequence[Finding]) -> None:
    """Puts the findings beside those of earlier runs; the newest of a case and a server stays."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"findings": []}
    of_now = {(finding.case, finding.server) for finding in findings}
    old = [line for line in kept["findings"] if (line["case"], line["server"]) not in of_now]
    new = [asdict(finding) | {"run": report.circumstances()} for finding in findings]
    RESULTS.write_text(json.dumps({"findings": [report.brief(line) for line in old + new]}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

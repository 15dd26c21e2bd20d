"""`python -m tests.proxies`: valid and spoiled requests through nginx, HAProxy, Apache and Varnish; a table.

make test-proxies                      what is installed, with the seed that is always the same
make test-proxies PROXIES='--seed 7'   other requests
"""

import argparse
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from tests.proxies import page
from tests.proxies.differential import Outcome, disagreements, play
from tests.proxies.generator import generate
from tests.proxies.kinds import KINDS, Kind

LISTED = {
    ("Varnish", "a valid request with chunk extensions or trailers, cut short by the proxy, which answered 503"): (
        "Varnish 7.1 takes neither chunk extensions nor trailers. It finds them when it has passed the request on, and "
        "ends the body there as if it were whole. The client gets a 503."
    ),
}
"""Disagreements that are known, by proxy and kind, with the reason why they are none of ours."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.proxies", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("proxies", nargs="*", metavar="PROXY", help=f"{', '.join(KINDS)}; by default those installed")
    parser.add_argument("--seed", type=int, default=20261121, help="what the requests are made from (20261121)")
    parser.add_argument("--cases", type=int, default=2000, help="connections through each proxy (2000)")
    parser.add_argument("--write", action="store_true", help="keep the results and write docs/security.md")
    chosen = parser.parse_args()
    if unknown := set(chosen.proxies) - set(KINDS):
        parser.error(f"no proxy is called {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    chosen.proxies = [KINDS[name] for name in chosen.proxies] or [kind for kind in KINDS.values() if kind.installed]
    if missing := [kind.name for kind in chosen.proxies if not kind.installed]:
        parser.error(f"not installed: {', '.join(missing)}")
    if not chosen.proxies:
        parser.error("no proxy is installed (Debian: apt-get install nginx-light haproxy apache2-bin varnish)")
    return chosen


def run(kind: Kind, seed: int, cases: int) -> tuple[page.Row, list[tuple[str, str]]]:
    """One proxy: its row, and the disagreements that are not listed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{kind.name}-") as folder:
        outcome = play(kind, generate(seed, cases), Path(folder))
    found = list(disagreements(outcome))
    unlisted = [(what, which) for what, which in found if (kind.name, what) not in LISTED]
    row = row_of(kind, outcome, found)
    print(f"{row.version}: {row.connections} connections in {time.monotonic() - began:.0f} s, {row.sent} sent, "
          f"{row.seen} seen by the proxy, {row.passed_on} passed on; {row.served} served, {row.refused} refused; "
          f"{row.disagreements} disagreements")  # fmt: skip
    return row, unlisted


def row_of(kind: Kind, outcome: Outcome, found: list[tuple[str, str]]) -> page.Row:
    """What the page says of one proxy."""
    return page.Row(
        version=kind.version,
        connections=len(outcome.cases),
        sent=sum(len(case.requests) for case in outcome.cases),
        seen=len(outcome.passed),
        passed_on=len(outcome.passed_on),
        served=len(outcome.served),
        refused=outcome.refused.total(),
        disagreements=len(found),
        listed=dict(Counter(LISTED[kind.name, what] for what, _ in found if (kind.name, what) in LISTED)),
    )


def main() -> int:
    """0 if no proxy disagrees with the server in a way that is not listed."""
    chosen = arguments()
    print(f"seed {chosen.seed}")
    rows, failed = [], False
    for kind in chosen.proxies:
        row, unlisted = run(kind, chosen.seed, chosen.cases)
        rows.append(row)
        failed = failed or bool(unlisted)
        for what, which in unlisted[:20]:
            print(f"    {what}: {which}")
    if chosen.write and not failed:
        results = page.Results(seed=chosen.seed, date=time.strftime("%d %B %Y"), python=platform.python_version(),
                               rows=rows)  # fmt: skip
        page.RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        page.write()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

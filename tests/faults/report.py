"""Writes docs/reliability.md from the findings that a run kept."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.cases import CASES
from tests.faults.cases.soak import SOAK
from tests.faults.scene import THREADS, WORKERS, Case
from tests.faults.servers import GUNICORN, ROOT

PAGE = ROOT / "docs" / "reliability.md"
TEXT = Path(__file__).parent / "reliability.txt"
"""What stands around the tables, written by hand."""

Finding = dict


def circumstances() -> dict[str, str]:
    """Where and with what a run was made."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": "python -m tests.faults " + " ".join(sys.argv[1:]),
        "cpu": f"{os.cpu_count()} cores, {models[0].partition(':')[2].strip() if models else platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pronghorn": subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip(),
        "gunicorn": _gunicorn_version(),
    }


def _gunicorn_version() -> str:
    if not GUNICORN.exists():
        return ""
    told = subprocess.run([GUNICORN, "--version"], capture_output=True, text=True, check=True).stdout
    return told.strip().rpartition("version ")[2].rstrip(")")


def brief(finding: Finding) -> Finding:
    """Without the excerpts of logs, and each claim once: broken if it was broken once."""
    claims: dict[str, Finding] = {}
    for claim in finding["claims"]:
        known = claims.setdefault(claim["text"], {"text": claim["text"], "kept": True})
        known["kept"] = known["kept"] and claim["kept"]
    return finding | {"claims": list(claims.values()), "examples": finding["examples"][:3]}


def write(results: Path) -> None:
    """The document from the JSON."""
    findings: dict[tuple[str, str], Finding] = {
        (line["case"], line["server"]): line for line in json.loads(results.read_text())["findings"]
    }
    before, _, after = TEXT.read_text().partition("{tables}\n")
    tables = "\n".join((*_runs(findings), "", *_figures(findings), "", *_claims(findings), "", *_facts(findings)))
    PAGE.write_text(f"{before}{tables}\n{after}")


def _played(findings: dict[tuple[str, str], Finding]) -> Iterator[tuple[Case, Finding | None, Finding | None]]:
    for case in (*CASES, SOAK):
        ours, theirs = (findings.get((case.name, server)) for server in ("Pronghorn", "Gunicorn"))
        if ours or theirs:
            yield case, ours, theirs


def _runs(findings: dict[tuple[str, str], Finding]) -> Iterator[str]:
    runs = [finding["run"] for finding in findings.values()]
    # The commit is Pronghorn's, whatever stood there when Gunicorn was played.
    ours = [finding["run"] for (_, server), finding in findings.items() if server == "Pronghorn"]
    yield f"{WORKERS} workers of {THREADS} threads (Gunicorn: `gthread`) on one machine with the load:"
    yield ""
    for name in ("date", "cpu", "kernel", "python", "pronghorn", "gunicorn"):
        found = {run[name] for run in (ours if name == "pronghorn" else runs) if run[name]}
        yield f"- {name}: {', '.join(sorted(found))}"


def _figures(findings: dict[tuple[str, str], Finding]) -> Iterator[str]:
    columns = "sent | failed | after a retry | s"
    yield f"| Case | Rounds | Pronghorn: {columns} | Gunicorn: {columns} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for case, ours, theirs in _played(findings):
        rounds = (ours or theirs or {})["rounds"]
        yield f"| {case.title} | {rounds} | {_cells(ours)} | {_cells(theirs)} |"


def _cells(finding: Finding | None) -> str:
    if finding is None:
        return "not run | | | "
    if finding["unavailable"]:
        return f"{finding['unavailable']} | | | "
    mark = " (!)" if _broken(finding) else ""
    names = ("sent", "failed", "failed_after_retry")
    return " | ".join([f"{finding[name]:,}" for name in names] + [f"{finding['seconds']:.0f}{mark}"])


def _broken(finding: Finding | None) -> list[str]:
    texts = [claim["text"] for claim in (finding or {}).get("claims", ()) if not claim["kept"]]
    return list(dict.fromkeys(texts))


def _claims(findings: dict[tuple[str, str], Finding]) -> Iterator[str]:
    yield "## What was asked for and not kept"
    yield ""
    yield "Marked (!) above. Each case states what must be so; these were not:"
    yield ""
    any_broken = False
    for case, *both in _played(findings):
        for finding in both:
            if broken := _broken(finding):
                any_broken = True
                yield f"- {case.title}, {finding['server']}: {'; '.join(broken)}"
    if not any_broken:
        yield "- none"


def _facts(findings: dict[tuple[str, str], Finding]) -> Iterator[str]:
    yield "## Measured beside"
    yield ""
    yield "Seconds, unless it says otherwise."
    yield ""
    yield "| Case | Figure | Pronghorn | Gunicorn |"
    yield "|---|---|---|---|"
    for case, ours, theirs in _played(findings):
        own, other = (ours or {}).get("facts", {}), (theirs or {}).get("facts", {})
        for name in dict.fromkeys((*own, *other)):
            yield f"| {case.title} | {name} | {own.get(name, '')} | {other.get(name, '')} |"

"""How many CPUs this process may use: its affinity, cut by the CPU quota of its control groups (cgroup v1 and v2)."""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pronghorn.linux import CGROUP_ROOT, PROC_CGROUP, affinity


def allowed_cpus(proc_cgroup: Path = PROC_CGROUP, root: Path = CGROUP_ROOT) -> int:
    """The CPUs this process may use, at least 1.

    A container with `--cpus 2` on a machine of 64 has an affinity of 64 and a quota of 2; 64 workers there would only
    throttle each other, which is why `os.cpu_count()` is not the answer. A quota of 1.5 CPUs counts as 2: one worker
    could not use it up.
    """
    cpus = affinity()
    for quota in quotas(proc_cgroup, root):
        cpus = min(cpus, max(1, math.ceil(quota)))
    return cpus


def quotas(proc_cgroup: Path, root: Path) -> Iterator[float]:
    """The CPU quotas, in CPUs, of every control group that holds this process."""
    for line in _read(proc_cgroup).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for group in _groups(root, path):
                yield from _quota_v2(group)
        elif "cpu" in controllers.split(","):
            for hierarchy in {root / controllers, root / "cpu"}:
                for group in _groups(hierarchy, path):
                    yield from _quota_v1(group)


def _groups(hierarchy: Path, path: str) -> Iterator[Path]:
    """The group's directory and all above it: the tightest quota on the way up is the one that holds.

    In a container without a cgroup namespace the path is the host's and does not exist below the mount; then the walk
    still reaches the mount itself, which is the container's own group.
    """
    # Seen from inside a cgroup namespace a group outside it is written "/../x".
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for depth in range(len(parts), -1, -1):
        yield hierarchy.joinpath(*parts[:depth])


def _quota_v2(group: Path) -> Iterator[float]:
    words = _read(group / "cpu.max").split()
    if len(words) == 2 and words[0] != "max":
        yield int(words[0]) / int(words[1])


def _quota_v1(group: Path) -> Iterator[float]:
    quota, period = _read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()
    # -1 means no quota.
    if quota and period and int(quota) > 0 and int(period) > 0:
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    """The file's text; nothing where there is none, as in a group without the cpu controller."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""

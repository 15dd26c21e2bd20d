"""CPUs allowed to this process: affinity, and quotas in made-up trees of control groups."""

import os
from pathlib import Path

import pytest

from pronghorn.options.cpus import allowed_cpus, quotas


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def found(tmp_path: Path, cgroup: str, files: dict[str, str]) -> list[float]:
    write(tmp_path, {"cgroup": cgroup, **{f"sys/{name}": text for name, text in files.items()}})
    return list(quotas(tmp_path / "cgroup", tmp_path / "sys"))


def test_v2_quota_of_the_group(tmp_path):
    assert found(tmp_path, "0::/app\n", {"app/cpu.max": "150000 100000\n"}) == [1.5]


def test_v2_without_a_quota(tmp_path):
    assert found(tmp_path, "0::/app\n", {"app/cpu.max": "max 100000\n"}) == []


def test_v2_quota_of_a_group_above_holds_too(tmp_path):
    files = {"slice/app/cpu.max": "max 100000\n", "slice/cpu.max": "200000 100000\n"}
    assert found(tmp_path, "0::/slice/app\n", files) == [2.0]


def test_v2_in_a_container_whose_path_is_that_of_the_host(tmp_path):
    assert found(tmp_path, "0::/docker/8f3a\n", {"cpu.max": "50000 100000\n"}) == [0.5]


def test_v2_path_outside_the_namespace(tmp_path):
    assert found(tmp_path, "0::/../other\n", {"cpu.max": "100000 100000\n"}) == [1.0]


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
def test_v1_quota(tmp_path, folder):
    files = {f"{folder}/app/cpu.cfs_quota_us": "300000\n", f"{folder}/app/cpu.cfs_period_us": "100000\n"}
    assert found(tmp_path, "5:memory:/app\n4:cpu,cpuacct:/app\n", files) == [3.0]


def test_v1_without_a_quota(tmp_path):
    files = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert found(tmp_path, "4:cpu:/\n", files) == []


def test_mixed_v1_and_v2(tmp_path):
    files = {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n", "unified/cpu.max": "1 1\n"}
    assert found(tmp_path, "4:cpu:/\n0::/\n", files) == [2.0]


def test_a_system_without_control_groups(tmp_path):
    assert allowed_cpus(tmp_path / "none", tmp_path / "none") == len(os.sched_getaffinity(0))


def test_a_fraction_of_a_cpu_is_one_worker(tmp_path):
    write(tmp_path, {"cgroup": "0::/\n", "sys/cpu.max": "10000 100000\n"})
    assert allowed_cpus(tmp_path / "cgroup", tmp_path / "sys") == 1


def test_a_quota_above_the_affinity_changes_nothing(tmp_path):
    write(tmp_path, {"cgroup": "0::/\n", "sys/cpu.max": "99900000 100000\n"})
    assert allowed_cpus(tmp_path / "cgroup", tmp_path / "sys") == len(os.sched_getaffinity(0))


def test_affinity(tmp_path):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert allowed_cpus(tmp_path / "none", tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, before)

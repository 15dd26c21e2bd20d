"""The table of faults, and its double for Cython."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest

import pronghorn.wire.faults
from pronghorn.wire.faults import FAULTS, REASONS, SILENCE, peer_error


def test_both_tables_of_faults_say_the_same():
    double = Path(pronghorn.wire.faults.__file__).with_suffix(".pxd").read_text()
    pairs = re.findall(r"^    (\w+) = (-\d+)$", double, re.MULTILINE)
    assert [(name, int(code)) for name, code in pairs] == [(fault.name, fault.code) for fault in FAULTS.values()]


def test_every_fault_has_its_own_name_code_and_detail():
    faults = pronghorn.wire.faults._TABLE
    for attribute in ("name", "code", "detail"):
        assert len({getattr(fault, attribute) for fault in faults}) == len(faults)


def test_every_fault_is_an_error_of_the_peer_or_of_ours():
    assert all(fault.code < 0 for fault in FAULTS.values())
    assert all(400 <= fault.status < 600 or fault.status == SILENCE for fault in FAULTS.values())
    assert {fault.status for fault in FAULTS.values()} == set(REASONS)


@pytest.mark.parametrize(
    "status", sorted(set(REASONS) - {SILENCE, 413, 414})
)  # RFC 9110 renamed these two, Python 3.11 has the old names
def test_reasons_are_the_registered_ones(status):
    assert REASONS[status] == HTTPStatus(status).phrase


def test_a_fault_becomes_the_error_that_carries_its_response():
    error = peer_error(-14)
    assert (error.status, error.reason) == (414, "URI Too Long")
    assert str(error) == "414 URI Too Long: the request line is over its limit"
    with pytest.raises(KeyError):
        peer_error(1)

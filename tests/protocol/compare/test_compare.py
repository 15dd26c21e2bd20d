"""The comparison judges Pronghorn as the suite does, and can tell a wrong answer from a right one."""

import dataclasses

import pytest

pytest.importorskip("bench", reason="the commands of servers are the benchmark's")

from tests.protocol.compare.__main__ import ASKED
from tests.protocol.compare.subjects import SUBJECTS, running
from tests.protocol.compare.verdict import passes
from tests.protocol.vectors import Refused, Served


def test_some_vectors_on_pronghorn():
    vectors = [vector for _, vector in ASKED[::12]]
    served = next(vector for vector in vectors if isinstance(vector, Served) and vector.lasts)
    wrong = [
        Refused(rule=1, name="not refused", data=served.data),
        dataclasses.replace(served, method="OTHER"),
        dataclasses.replace(served, environ={"SERVER_PROTOCOL": "HTTP/9"}),
    ]
    with running(SUBJECTS[0]) as server:
        assert [vector.id for vector in vectors if not passes(server, vector)] == []
        assert [vector.id for vector in wrong if passes(server, vector)] == []
        assert server.crashes() == 0

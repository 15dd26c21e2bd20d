"""The link between two arbiters: who of them is the last."""

import socket

import pytest

from pronghorn.arbiter.listeners import close_listeners, open_listeners
from pronghorn.arbiter.succession import Relative

OLD, NEW = 4194305, 4194306


@pytest.fixture
def ends(tmp_path):
    """What the old arbiter holds of the new one, and the other way round; both may use a socket file."""
    listeners = open_listeners([f"unix:{tmp_path}/a.sock"], 16)
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (tmp_path / "run.pid").write_text(f"{OLD}\n")
    (tmp_path / "run.pid.2").write_text(f"{NEW}\n")
    at_old = Relative(NEW, one, listeners, tmp_path / "run.pid.2")
    at_new = Relative(OLD, other, listeners, tmp_path / "run.pid")
    yield at_old, at_new
    at_old.close()
    at_new.close()
    close_listeners(listeners)


def left(folder):
    return {path.name for path in folder.iterdir()}


def test_the_first_one_to_leave_removes_nothing_and_the_last_one_all(ends, tmp_path):
    at_old, at_new = ends
    assert at_old.part() is False
    assert left(tmp_path) == {"a.sock", "run.pid", "run.pid.2"}
    assert at_new.part() is True
    assert left(tmp_path) == {"run.pid.2"}  # its own


def test_two_that_leave_at_once_cannot_both_leave_it_to_the_other(ends, tmp_path):
    for end in ends:
        end._link.shutdown(socket.SHUT_WR)
    assert [end.part() for end in ends] == [True, True]
    assert left(tmp_path) == set()


def test_unread_words_do_not_hide_the_end(ends):
    at_old, at_new = ends
    at_new._link.send(b"not read by anybody")
    at_new.close()
    assert at_old.part() is True


def test_what_is_used_stays(ends, tmp_path):
    at_old, at_new = ends
    assert at_old.part() is False
    at_new.bury(at_new.listeners)
    assert left(tmp_path) == {"a.sock", "run.pid.2"}
    # Only once: the file may be somebody else's by then.
    assert at_new.part() is True
    assert left(tmp_path) == {"a.sock", "run.pid.2"}

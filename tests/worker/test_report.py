"""What comes through a worker's pipe."""

from pronghorn.worker.report import Reader, Ready, Tired


def test_reports_arrive_whole_whatever_the_pieces():
    reader = Reader()
    text = b'{"type":"ready"}\n{"type":"tired","why":"old"}\n'
    assert [said for at in range(len(text)) for said in reader.feed(text[at : at + 1])] == [Ready(), Tired("old")]


def test_what_no_worker_says_is_left_out(caplog):
    """An application may write to a descriptor that is not its own; the arbiter must survive that."""
    with caplog.at_level("WARNING", "pronghorn.error"):
        assert list(Reader().feed(b'hello\n{"type":"who"}\n{"type":"ready"}\n')) == [Ready()]
    assert "holds what no worker says: b'hello'" in caplog.text

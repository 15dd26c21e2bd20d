"""The error log: its line, its levels, what a bad record does to it, and the stream applications write to."""

import logging
import os
import re
import threading

import pytest

from pronghorn.errors import SettingsError
from pronghorn.observe import log
from pronghorn.observe.sink import Sink
from pronghorn.options.logs import LogOptions

START = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[[A-Z]+\] ")


@pytest.fixture
def target(tmp_path):
    """The error log set up on a file; the file."""
    path = tmp_path / "error.log"
    log.setup(LogOptions(errorlog=str(path), loglevel="debug"))
    yield path
    logger = logging.getLogger(log.NAME)
    for handler in [handler for handler in logger.handlers if isinstance(handler, log.SinkHandler)]:
        logger.removeHandler(handler)
        handler.sink.close()
    logger.propagate = True


def test_the_line_is_gunicorns(target):
    logging.getLogger("pronghorn.error.arbiter").info("Listening at %s", "http://127.0.0.1:8000")
    text = target.read_text()
    assert START.match(text)
    assert text.endswith(f"] [{os.getpid()}] [INFO] Listening at http://127.0.0.1:8000\n")


def test_levels(target):
    log.setup(LogOptions(errorlog=str(target), loglevel="warning"))
    logging.getLogger(log.NAME).info("quiet")
    logging.getLogger(log.NAME).warning("loud")
    assert "quiet" not in target.read_text()
    assert target.read_text().count("loud") == 1


def test_a_traceback_follows_its_line(target):
    try:
        int("broken")
    except ValueError:
        logging.getLogger(log.NAME).exception("Error handling request %s", "/x")
    lines = target.read_text().splitlines()
    assert lines[0].endswith("[ERROR] Error handling request /x")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: invalid literal for int() with base 10: 'broken'"


def test_rule_32_no_record_can_be_forged(target):
    logging.getLogger(log.NAME).error("path %s", "/\x1b[2J\r\n[2026-11-20 22:37:02 +0000] [1] [INFO] all is well")
    lines = target.read_text().splitlines()
    assert len([line for line in lines if START.match(line)]) == 1
    assert "\x1b" not in target.read_text()
    assert "\\x1b[2J\\x0d" in lines[0]


def test_a_record_whose_arguments_do_not_fit_is_written(target, capfd):
    handler = log.SinkHandler(Sink(str(target), 2))
    handler.handle(logging.LogRecord(log.NAME, logging.ERROR, __file__, 1, "%d things", ("many",), None))
    handler.sink.close()
    assert "'%d things' with ('many',) (TypeError:" in target.read_text()
    assert capfd.readouterr().err == ""


def test_losses_are_told_once_it_can_write_again(tmp_path, capfd):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    handler = log.SinkHandler(Sink(str(fifo), 2))

    def say(text):
        handler.handle(logging.LogRecord(log.NAME, logging.ERROR, __file__, 1, text, None, None))

    for _ in range(100):
        say("x" * 2000)
    lost = handler.sink.lost
    before = os.read(reader, 1 << 20)
    say("back again")
    after = os.read(reader, 1 << 20).decode().splitlines()
    os.close(reader)
    handler.sink.close()
    assert lost + before.count(b"\n") == 100
    assert (
        f"[WARNING] {lost} log lines were lost: {fifo} could not be written (it takes no more at present)" in after[0]
    )
    assert after[1].endswith("back again")
    assert capfd.readouterr().err == ""


def test_a_target_that_cannot_be_opened_is_one_clear_line(tmp_path):
    with pytest.raises(SettingsError, match=r"errorlog: .*No such file or directory.*name a file"):
        log.setup(LogOptions(errorlog=str(tmp_path / "missing" / "log")))


def test_reopen_after_rotation(target, tmp_path):
    logger = logging.getLogger(log.NAME)
    logger.info("old")
    target.rename(tmp_path / "error.log.1")
    log.reopen()
    logger.info("new")
    assert "old" in (tmp_path / "error.log.1").read_text()
    assert "new" in target.read_text()
    assert "old" not in target.read_text()


def test_wsgi_errors_writes_whole_lines(target):
    stream = log.error_stream()
    assert stream.write("one, ") == 5
    assert target.read_text() == ""
    print("two", file=stream)
    stream.writelines(["three\n", "fo"])
    stream.flush()
    stream.flush()
    assert target.read_text() == "one, two\nthree\nfo\n"
    with pytest.raises(TypeError, match=r"wsgi\.errors takes str, not bytes"):
        stream.write(b"x")


def test_wsgi_errors_keeps_the_lines_of_threads_apart(target):
    stream = log.error_stream()
    barrier = threading.Barrier(2)

    def speak(word):
        for _ in range(50):
            barrier.wait(5)
            stream.write(word)
            barrier.wait(5)
            stream.write("\n")

    threads = [threading.Thread(target=speak, args=(word,)) for word in ("aaaa", "bbbb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(target.read_text().split()) == ["aaaa"] * 50 + ["bbbb"] * 50

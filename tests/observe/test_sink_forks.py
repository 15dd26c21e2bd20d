"""A process that is forked while another thread writes to a log."""

import os
import signal
import threading

from tests.support.raw import wait_for

from pronghorn.observe.sink import Sink


def test_a_child_can_write_although_a_thread_of_its_parent_was_writing(tmp_path):
    sink = Sink(str(tmp_path / "log"), 2)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            sink.write(b"parent\n" * 1000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(50):
            pid = os.fork()
            if pid == 0:
                sink.write(b"child\n")
                os._exit(0)
            try:
                wait_for(lambda pid=pid: os.waitpid(pid, os.WNOHANG)[0], f"child {number} to write and end")
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise
    finally:
        stop.set()
        thread.join()
        sink.close()
    assert (tmp_path / "log").read_bytes().count(b"child\n") == 50

"""Says what every thread did when a worker is told to leave at once."""

import sys
import traceback

workers = 1


def worker_int(worker):
    stacks = [traceback.format_stack(frame) for frame in sys._current_frames().values()]
    worker.log.info("hook worker_int: %s", len(stacks) > 0)


def worker_abort(worker):
    worker.log.info("hook worker_abort")

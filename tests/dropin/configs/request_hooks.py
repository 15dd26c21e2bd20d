"""Times each request, in the shape that takes fewer arguments."""

import time

started = {}


def pre_request(worker, req):
    started[req.path] = time.monotonic()


def post_request(worker, req):
    taken = time.monotonic() - started.pop(req.path)
    worker.log.info("hook post_request: %s %s", req.uri, 0 <= taken < 10)

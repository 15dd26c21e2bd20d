"""What `FleetOptions` decide: processes, how they begin and how they end."""

import contextlib
import signal
from pathlib import Path

from tests.settings.observers.registry import observes
from tests.settings.observers.shop import busy
from tests.support.raw import wait_for


@observes("workers")
def workers(start, place):
    assert len(start(workers=3).ready(3).workers()) == 3


@observes("worker_class")
def worker_class(start, place):
    assert start(worker_class="sync").get("/multithread") == (200, "False")
    start(worker_class="gevent").said("1000 greenlets")


@observes("graceful_timeout")
def graceful_timeout(start, place):
    server = start(graceful_timeout=0.2)
    with busy(server, place):
        assert server.stop() == 0


@observes("drain_delay")
def drain_delay(start, place):
    server = start(drain_delay=300).ready(1)
    server.signal(signal.SIGTERM)
    server.said("stopping in 300 s")
    assert server.get()[0] == 200


@observes("boot_timeout")
def boot_timeout(start, place):
    (place / "slow.py").write_text("import time; time.sleep(60)")
    start(wsgi_app="slow:app", boot_timeout=1).said("not ready")


@observes("ready_path")
def ready_path(start, place):
    (place / "not_yet.py").write_text(
        "def app(environ, start_response):\n    start_response('404 Not Found', [])\n    return []\n"
    )
    server = start(wsgi_app="not_yet:app", ready_path="/healthz", boot_timeout=1)
    server.said("/healthz")


@observes("max_lifetime", "max_lifetime_jitter")
def max_lifetime(start, place):
    server = start(max_lifetime=1, max_lifetime_jitter=0.1).ready(1)
    endless = start(max_lifetime=1, max_lifetime_jitter=86400).ready(1)
    (worker,) = endless.workers()
    server.said("it has served for 1 s")
    server.ready(3)
    assert endless.workers() == {worker}


@observes("max_memory")
def max_memory(start, place):
    server = start(max_memory="256MiB").ready(1)
    assert server.get(f"/fill?{256 << 20}")[0] == 200
    server.said("its memory is")
    server.ready(2)


@observes("recycle_at_once")
def recycle_at_once(start, place):
    server = start(workers=2, threads=4, max_lifetime=1, recycle_at_once=2).ready(2)
    with contextlib.ExitStack() as stack:
        # Requests in both of them, so that no old one is gone before the other one's replacement is there.
        for _ in range(16):
            stack.enter_context(busy(server, place))
        wait_for(lambda: len(server.workers()) == 4, "two workers and both replacements")


@observes("pidfile")
def pidfile(start, place):
    server = start(pidfile="shop.pid").ready(1)
    assert int((place / "shop.pid").read_text()) == server.pid


@observes("proc_name")
def proc_name(start, place):
    server = start(proc_name="shop").ready(1)
    assert {Path(f"/proc/{pid}/comm").read_text() for pid in server.processes()} == {"shop\n"}

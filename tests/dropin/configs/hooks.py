"""A hook at each moment."""

workers = 1


def on_starting(server):
    server.log.info("hook on_starting: %s", server.cfg.workers)


def on_reload(server):
    server.log.info("hook on_reload")


def when_ready(server):
    server.log.info("hook when_ready: %s", server.address is not None)


def pre_fork(server, worker):
    server.log.info("hook pre_fork: age %s", worker.age > 0)


def post_fork(server, worker):
    worker.log.info("hook post_fork: %s", worker.cfg.workers)


def post_worker_init(worker):
    worker.log.info("hook post_worker_init: %s", callable(worker.wsgi))


def pre_request(worker, req):
    worker.log.info("hook pre_request: %s %s", req.method, req.path)


def post_request(worker, req, environ, resp):
    worker.log.info("hook post_request: %s %s", environ["PATH_INFO"], resp.status)


def child_exit(server, worker):
    server.log.info("hook child_exit: %s", worker.pid > 0)


def worker_exit(server, worker):
    worker.log.info("hook worker_exit: %s", worker.pid > 0)


def nworkers_changed(server, new_value, old_value):
    server.log.info("hook nworkers_changed: from %s to %s", old_value, new_value)


def on_exit(server):
    server.log.info("hook on_exit")

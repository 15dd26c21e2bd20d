"""The application before the fork; connections of the database after it."""

import os

preload_app = True
workers = 2


def pre_fork(server, worker):
    import database

    server.log.info("hook pre_fork: %s", database.engine.owner == os.getpid())


def post_fork(server, worker):
    import database

    inherited = database.engine.owner != os.getpid()
    database.engine.dispose()
    worker.log.info("hook post_fork: inherited %s, own %s", inherited, database.engine.owner == worker.pid)

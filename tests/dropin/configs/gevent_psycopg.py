"""Greenlets, and a driver that has to be made to yield."""

worker_class = "gevent"
worker_connections = 1000
workers = 1
keepalive = 5


def post_fork(server, worker):
    from psycogreen.gevent import patch_psycopg, patched

    patch_psycopg()
    worker.log.info("hook post_fork: psycopg is green %s", patched)

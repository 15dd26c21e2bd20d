"""Notes that it was asked to patch, and whether gevent had patched before."""

from gevent import monkey

patched = []


def patch_psycopg():
    patched.append(monkey.is_module_patched("socket"))

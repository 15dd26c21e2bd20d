"""Gunicorn takes gthread for more than one thread."""

worker_class = "sync"
workers = 1
threads = 2

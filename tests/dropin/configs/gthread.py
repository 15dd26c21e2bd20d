"""A process with threads, sized for a small machine."""

worker_class = "gthread"
workers = 1
threads = 4
worker_connections = 100
keepalive = 10
backlog = 512
accesslog = "-"

worker_class = "sync"
workers = 3
timeout = 30
keepalive = 2

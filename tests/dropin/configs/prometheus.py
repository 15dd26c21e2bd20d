"""Workers that end are taken out of the metrics."""

max_requests = 10
max_requests_jitter = 5
workers = 1


def mark_process_dead(pid):
    with open("dead.txt", "a") as dead:
        dead.write(f"{type(pid).__name__}\n")


def child_exit(server, worker):
    mark_process_dead(worker.pid)

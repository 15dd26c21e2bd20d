"""Workers are added and taken away by signals."""

workers = 2


def nworkers_changed(server, new_value, old_value):
    server.log.info("hook nworkers_changed: from %s to %s", old_value, new_value)

"""The child process: boot, serve, drain, exit statuses, signals."""

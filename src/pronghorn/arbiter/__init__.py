"""The parent process: binds the listeners, forks workers, watches them and decides."""

"""A request that takes too long."""

timeout = 1
graceful_timeout = 2
workers = 1

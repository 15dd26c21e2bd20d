"""Bytes to meaning and back: no sockets, clocks, threads or logging in here."""

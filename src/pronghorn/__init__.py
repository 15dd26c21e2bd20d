"""Pronghorn: an HTTP server for Python web applications that needs nothing in front."""

__version__ = "0.1.0"

"""Calling the application: finding it, and the WSGI call."""

"""Listens on what systemd opened; so nothing here says where."""

workers = 2
accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s"

"""A logger of one's own."""

logger_class = "quiet.Quiet"
accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s %(shop)s"

import os

syslog = True
syslog_addr = os.environ["SHOP_SYSLOG"]
syslog_prefix = "shop"
syslog_facility = "local3"
access_log_format = "%(m)s %(U)s %(s)s"
accesslog = None
workers = 1

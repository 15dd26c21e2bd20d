"""Behind a router that is trusted for what it forwards."""

import os

bind = "127.0.0.1:" + os.environ.get("SHOP_PORT", "8000")
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
accesslog = "-"
access_log_format = '%({x-forwarded-for}i)s %(l)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
preload_app = True
workers = 2

"""Behind a load balancer that says who the client is before it says anything else."""

proxy_protocol = True
proxy_allow_ips = "127.0.0.1"
accesslog = "-"
access_log_format = "%(h)s %(m)s %(U)s %(s)s"

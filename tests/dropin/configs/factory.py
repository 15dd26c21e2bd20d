"""Flask, made by a function."""

wsgi_app = "flaskshop:create_app('made')"
workers = 1
threads = 4
accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s"

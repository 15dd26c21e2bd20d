"""Logs as an INI file describes them."""

import pathlib

pathlib.Path("logging.ini").write_text("""\
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=console, access
[formatters]
keys=short
[logger_root]
level=INFO
handlers=console
[logger_gunicorn.error]
level=INFO
handlers=console
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=access
propagate=0
qualname=gunicorn.access
[handler_console]
class=StreamHandler
formatter=short
args=(sys.stdout, )
[handler_access]
class=FileHandler
formatter=short
args=("ini.log", )
[formatter_short]
format=%(name)s %(levelname)s %(message)s
""")
logconfig = "logging.ini"
accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s"
workers = 1

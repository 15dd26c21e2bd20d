"""Django on a unix socket, nginx in front of it."""

import multiprocessing

wsgi_app = "mysite:application"
bind = "unix:shop.sock"
umask = 0o007
workers = min(multiprocessing.cpu_count() * 2 + 1, 3)
timeout = 60
accesslog = "access.log"
errorlog = "error.log"
loglevel = "info"
proc_name = "mysite"
raw_env = ["SHOP_SITE=production", "DJANGO_SETTINGS_MODULE=mysite"]

"""An image that is configured by the environment."""

import json
import os

bind = os.getenv("SHOP_BIND", "0.0.0.0:80")
use_loglevel = os.getenv("LOG_LEVEL", "info")
workers = int(os.getenv("WEB_CONCURRENCY", "1"))
worker_tmp_dir = "/dev/shm"
accesslog = os.getenv("ACCESS_LOG", "-") or None
errorlog = os.getenv("ERROR_LOG", "-") or None
loglevel = use_loglevel
graceful_timeout = int(os.getenv("GRACEFUL_TIMEOUT", "120"))
timeout = int(os.getenv("TIMEOUT", "120"))
keepalive = int(os.getenv("KEEP_ALIVE", "5"))
threads = int(os.getenv("PYTHON_MAX_THREADS", 1))
print(json.dumps({"workers": workers, "loglevel": loglevel}))

"""All logs as JSON, by the standard library's means."""

import json
import logging


class JsonFormatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"logger": record.name, "level": record.levelname, "message": record.getMessage()})


accesslog = "-"
access_log_format = "%(m)s %(U)s %(s)s"
workers = 1
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["file"], "propagate": False, "qualname": "gunicorn.error"},
        "gunicorn.access": {"level": "INFO", "handlers": ["file"], "propagate": False, "qualname": "gunicorn.access"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"},
        "file": {"class": "logging.FileHandler", "formatter": "json", "filename": "json.log"},
    },
    "formatters": {"json": {"()": JsonFormatter}},
}

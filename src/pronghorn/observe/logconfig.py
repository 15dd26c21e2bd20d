"""Configurations of Python's `logging`: the settings logconfig_dict, logconfig_json and logconfig, in this order.

They are merged with defaults as Gunicorn merges them, key by key of the outermost level, because files that work with
Gunicorn name its handlers and formatters (`console`, `error_console`, `generic`).

What reads them is imported where there is one: `logging.config` brings servers, queues and pickle along, more than half
a mebibyte in a server that needs none of it.
"""

import logging
import re
from pathlib import Path
from typing import Any

from pronghorn.errors import SettingsError

PAIRS = (("pronghorn.error", "gunicorn.error"), ("pronghorn.access", "gunicorn.access"))
"""Our name and Gunicorn's of each of the two loggers."""


_QUALNAME = re.compile(r"^\s*qualname\s*[=:]\s*(\S+)", re.MULTILINE)


def join_names() -> None:
    """Makes the two names of each logger one logger, also for who has already got one by Gunicorn's name."""
    for ours, theirs in PAIRS:
        one, other = logging.getLogger(ours), logging.getLogger(theirs)
        if one.__dict__ is other.__dict__:
            continue
        for handler in other.handlers:
            one.addHandler(handler)
        for known in other.filters:
            one.addFilter(known)
        other.__dict__ = one.__dict__


def given(cfg: Any) -> bool:
    """Whether there is a configuration."""
    return bool(cfg.logconfig_dict or cfg.logconfig_json or cfg.logconfig)


def apply(cfg: Any) -> None:
    """Configures `logging`. SettingsError, in one line, for what cannot be read or configured."""
    if cfg.logconfig_dict:
        _configure("logconfig_dict", cfg.logconfig_dict)
    elif cfg.logconfig_json:
        import json  # noqa: PLC0415

        name = f"logconfig_json: {cfg.logconfig_json}"
        try:
            found = json.loads(Path(cfg.logconfig_json).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{name}: {_reason(error)}") from error
        if not isinstance(found, dict):
            raise SettingsError(f"{name}: it holds no object")
        _configure(name, found)
    elif cfg.logconfig:
        _configure_by_file(cfg.logconfig)


def _configure(name: str, given: dict[str, Any]) -> None:
    from logging.config import dictConfig  # noqa: PLC0415

    config = _defaults() | given
    try:
        dictConfig(config)
    # What it imports and calls is somebody's program and may raise anything.
    except Exception as error:
        raise SettingsError(f"{name}: {_chain(error)}") from error
    _settle(config.get("loggers") or {})


def _configure_by_file(name: str) -> None:
    from logging.config import fileConfig  # noqa: PLC0415

    path = Path(name)
    if not path.is_file():
        raise SettingsError(f"logconfig: {name}: there is no such file")
    places = {"__file__": str(path), "here": str(path.parent)}
    try:
        fileConfig(path, defaults=places, disable_existing_loggers=False)
    except Exception as error:
        raise SettingsError(f"logconfig: {name}: {_chain(error)}") from error
    _settle(_QUALNAME.findall(path.read_text(encoding="utf-8", errors="replace")))


def _settle(names: Any) -> None:
    """A logger that is configured by one of its names is not one of those that `disable_existing_loggers` is about."""
    for pair in PAIRS:
        for name in pair:
            if name in names:
                logger = logging.getLogger(name)
                logger.disabled = False
                logger.name = name


def _chain(error: BaseException) -> str:
    """In one line: `logging` puts the reason into the cause."""
    said = [_reason(error)]
    while (error := error.__cause__) is not None:  # type: ignore[assignment]
        said.append(_reason(error))
    return "; ".join(" ".join(text.split()) for text in said)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _defaults() -> dict[str, Any]:
    def handler(stream: str) -> dict[str, Any]:
        return {"class": "logging.StreamHandler", "formatter": "generic", "stream": f"ext://sys.{stream}"}

    def logger(handler: str) -> dict[str, Any]:
        return {"level": "INFO", "handlers": [handler], "propagate": True}

    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "generic": {
                "class": "logging.Formatter",
                "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
                "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            }
        },
        "handlers": {"console": handler("stdout"), "error_console": handler("stderr")},
        "loggers": {"gunicorn.error": logger("error_console"), "gunicorn.access": logger("console")},
        "root": {"level": "INFO", "handlers": ["console"]},
    }

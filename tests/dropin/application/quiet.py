"""A logger class of the kind that keeps health checks out of the access log."""

try:
    from gunicorn.glogging import Logger
except ImportError:
    from pronghorn.observe.logger import Logger


class Quiet(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.info("the quiet logger is set up")

    def atoms(self, resp, req, environ, request_time):
        return super().atoms(resp, req, environ, request_time) | {"shop": "corner shop"}

    def access(self, resp, req, environ, request_time):
        if req.path != "/":
            super().access(resp, req, environ, request_time)

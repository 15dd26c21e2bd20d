"""What a peer and an application see does not depend on the worker class."""

from tests.support.worker_classes import worker_class  # noqa: F401 - a fixture

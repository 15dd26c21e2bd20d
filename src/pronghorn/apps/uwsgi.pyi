from typing import final

from pronghorn.apps.wsgi import WSGI
from pronghorn.options import EngineOptions, TrustOptions

@final
class Uwsgi:
    def __init__(self, inner: WSGI, options: EngineOptions, trust: TrustOptions, mount: str) -> None: ...

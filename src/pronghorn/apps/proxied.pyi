from typing import final

from pronghorn.apps.wsgi import WSGI
from pronghorn.options import TrustOptions

@final
class Proxied:
    def __init__(self, inner: WSGI, trust: TrustOptions) -> None: ...

"""Every request that the rules speak of: the bytes, and what becomes of them."""

from tests.protocol.vectors import body, fields, framing, request_line
from tests.protocol.vectors.vector import Refused, Served

__all__ = ["LIMIT", "REFUSED", "SERVED", "Refused", "Served"]

TABLES = (request_line.TABLE, fields.TABLE, framing.TABLE, body.TABLE)
REFUSED: list[Refused] = [vector for table in TABLES for vector in table.refused]
SERVED: list[Served] = [vector for table in TABLES for vector in table.served]

LIMIT = body.LIMIT
"""The `limit_request_body` that they are written for."""

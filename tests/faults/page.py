"""The body that the application under load answers and the client expects; no import, so both can have it."""


def page(token: str, version: str, pid: str, size: int, checksum: int) -> bytes:
    """Made of the request's token and checksum, of who answers, and `size` octets that no other request gets."""
    filler = (f"{token}." * (size // (len(token) + 1) + 1))[:size]
    return f"{token} {version} {pid} {checksum}\n{filler}\n{version} {token}\n".encode()

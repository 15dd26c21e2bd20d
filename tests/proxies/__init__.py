"""Requests through real proxies: whether both sides of the proxy saw the same ones."""

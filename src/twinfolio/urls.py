"""URLs as logs and runs may show them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

_SECRETS = ("password", "passwd", "sslpassword")


def without_password(url: str) -> str:
    """The URL of a database (``scheme://user:password@host/name?password=...``) without its passwords."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"
    query = [(key, value) for key, value in parse_qsl(parts.query) if key.lower() not in _SECRETS]
    return f"{shown}?{urlencode(query, safe='/')}" if query else shown

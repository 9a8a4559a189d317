"""An HTTP request that waits long enough for a busy machine."""

from __future__ import annotations

from typing import Any

import httpx


def get(url: str, **more: Any) -> httpx.Response:
    """`httpx.get` with a generous time limit."""
    return httpx.get(url, timeout=90, **more)

"""What a service's tests are written with: the delivery path and a database, no broker."""

from choregraphie.testing.harness import Desk, open_desk

__all__ = [
    "Desk",
    "open_desk",
]

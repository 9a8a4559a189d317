"""What a service's tests are written with: the delivery path and a database, no broker."""

from choregraphie.testing.harness import ServiceHarness, open_harness

__all__ = [
    "ServiceHarness",
    "open_harness",
]

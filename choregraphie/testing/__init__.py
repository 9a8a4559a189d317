"""The test harness of a service: the real delivery path and a real database, without a broker."""

from choregraphie.testing.harness import ServiceHarness, open_harness

__all__ = [
    "ServiceHarness",
    "open_harness",
]

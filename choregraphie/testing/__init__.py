"""What tests of a service use: the real delivery path and a database, without a broker."""

from choregraphie.testing.harness import ServiceHarness, open_harness

__all__ = [
    "ServiceHarness",
    "open_harness",
]

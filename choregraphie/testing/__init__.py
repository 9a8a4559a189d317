"""For the tests of a saga: one service without a broker, the whole saga on a real one, a pytest plugin.

harness.py  one service on the real delivery path and a real database
broker.py   a RabbitMQ for the tests: given, or a container
running.py  the workers of an application on a real broker
plugin.py   the fixtures, for pytest: it finds them by the entry point
"""

from choregraphie.testing.harness import ServiceHarness, open_harness
from choregraphie.testing.running import NotSaid, RunningSaga, running_saga

__all__ = [
    "NotSaid",
    "RunningSaga",
    "ServiceHarness",
    "open_harness",
    "running_saga",
]

"""The way of a delivery: decode, call, commit, publish, acknowledge. `pipeline.py` is its table of contents."""

from choregraphie.pipeline.retrying import LONGEST_PAUSE_SECONDS, RefusedLogin, backoff
from choregraphie.pipeline.supervisor import run_workers

__all__ = [
    "LONGEST_PAUSE_SECONDS",
    "RefusedLogin",
    "backoff",
    "run_workers",
]

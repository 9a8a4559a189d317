"""The way of a delivery: decode, call, commit, publish, acknowledge. `pipeline.py` is its table of contents."""

from choregraphie.pipeline.retrying import LONGEST_PAUSE_SECONDS, RefusedLogin, SessionBackoff, backoff
from choregraphie.pipeline.supervisor import run_until, run_workers

__all__ = [
    "LONGEST_PAUSE_SECONDS",
    "RefusedLogin",
    "SessionBackoff",
    "backoff",
    "run_until",
    "run_workers",
]

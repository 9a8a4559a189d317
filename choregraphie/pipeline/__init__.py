"""The path of a delivery: decode, call, commit, publish, acknowledge. `pipeline.py` is its table of contents."""

from choregraphie.pipeline.supervisor import run_until, run_workers

__all__ = ["run_until", "run_workers"]

"""The order saga on other frameworks, each as its own documentation recommends, and the relay that is the ceiling.

A peer's worker runs in a virtual environment of its own, made from the `requirements.txt` beside it.
"""

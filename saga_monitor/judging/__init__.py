"""Judgements about one order from the set of events heard. Pure; `progress.py`, `anomalies.py` combine them."""

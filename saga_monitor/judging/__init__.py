"""Judgements about one order, from the set of events heard. Pure; `progress.py` and `anomalies.py` combine them."""

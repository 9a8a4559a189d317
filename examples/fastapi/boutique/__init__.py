"""A shop on FastAPI and PostgreSQL that begins the order saga inside its own transactions.

app.py     the addresses, the relay beside them, the wait for the outcome
store.py   the table of the shop, with the outbox in the same metadata, and the rule of the ceiling
"""

"""Vol: the flights, and the seats that are booked on them.

hears  voyage.demande   book the seats
       voyage.annule    give them back; after a confirmation, the airline keeps a fee
says   vol.reserve      booked, at this price, with this fee
       vol.refuse       no such flight, or not enough seats
       vol.annule       what is refunded and what is kept, or that nothing was booked
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from voyage.vol import store
from voyage.vol.reactions import REACTIONS

SERVICE = Service("vol", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed, canvas=__doc__)

__all__ = ["SERVICE"]

"""Hotel: the rooms, and the stays that are booked in them.

hears  voyage.demande   book a room
       voyage.annule    set it free
says   hotel.reserve    booked, at this price
       hotel.refuse     no such hotel, or no room
       hotel.annule     free again, or there was nothing to set free
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from voyage.hotel import store
from voyage.hotel.reactions import REACTIONS

SERVICE = Service("hotel", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed, canvas=__doc__)

__all__ = ["SERVICE"]

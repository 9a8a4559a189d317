"""Place: the places of each session, and who holds one.

hears  inscription.demandee   hold a place
       inscription.annulee    give it back
says   place.reservee         held
       place.refusee          the session is full or unknown; nothing is held
       place.liberee          given back, or there was nothing to give back
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service

from __NAME__.place import store
from __NAME__.place.reactions import REACTIONS

SERVICE = Service("place", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed, canvas=__doc__)

__all__ = ["SERVICE"]

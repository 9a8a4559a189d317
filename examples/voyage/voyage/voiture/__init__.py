"""Voiture: the cars by category, and how they are rented.

hears  voyage.demande     book a car
       voyage.annule      set it free
says   voiture.reservee   booked, at this price
       voiture.refusee    no such category, or no car
       voiture.annulee    free again, or there was nothing to set free
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from voyage.voiture import store
from voyage.voiture.reactions import REACTIONS

SERVICE = Service(
    "voiture", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed, canvas=__doc__
)

__all__ = ["SERVICE"]

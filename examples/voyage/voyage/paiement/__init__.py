"""Paiement: the cards, and what is debited from them.

hears  vol.reserve + hotel.reserve + voiture.reservee   debit the sum, once all three are booked
       voyage.annule                                    credit it; after a confirmation, less the airline's fee
says   paiement.effectue                                debited
       paiement.echoue                                  card refused; nothing is debited
       paiement.rembourse                               credited, or there was nothing to credit
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from voyage.paiement import store
from voyage.paiement.reactions import REACTIONS

SERVICE = Service(
    "paiement", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed, canvas=__doc__
)

__all__ = ["SERVICE"]

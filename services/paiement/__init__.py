"""Paiement: the accounts of clients, and the card gateway.

hears  stock.reserve           take the money
       commande.annulee        refund it
says   paiement.effectue       taken
       paiement.echoue         unknown client, balance too low, or card refused; nothing is taken
       paiement.rembourse      refunded, or there was nothing to refund
owns   the tables of store.py; nobody else reads them
calls  the card gateway of passerelle.py; while it is down, the inbox is held
"""

from choregraphie import Service
from services.paiement import store
from services.paiement.passerelle import ouvrir
from services.paiement.reactions import ORCHESTRATION, REACTIONS

SERVICE = Service(
    "paiement",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    seed=store.seed,
    externals=ouvrir,
    orchestration=ORCHESTRATION,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

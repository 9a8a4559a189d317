"""Commande: the orders, and the only one who decides about them.

hears  commande.initiee                note the order, start its clock
       stock.reservation_echouee       cancel
       paiement.echoue                 cancel
       paiement.effectue               create, or cancel if the client may not buy
       commande.annulation_demandee    cancel, before or after creation
clock  deadline passed                 cancel, also an order that only a service has spoken of; what only a demand
                                       to cancel has spoken of is forgotten, SAGA_INBOX_DAYS later
says   commande.creee                  goods held, money taken, client accepted
       commande.annulee                everything must be undone
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from services.commande import store
from services.commande.reactions import FORGETS, REACTIONS, TIMED

SERVICE = Service(
    "commande",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    cancelled=store.annulees,
    timed=TIMED,
    forgets=FORGETS,
    seed=store.seed,
    migrations=store.MIGRATIONS,
)

__all__ = ["SERVICE"]

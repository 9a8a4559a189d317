"""Commande: the orders. This service is the only decider.

hears  commande.initiee                record the order, start its deadline
       stock.reservation_echouee       cancel
       paiement.echoue                 cancel
       paiement.effectue               create, or cancel if the client may not buy
       commande.annulation_demandee    cancel, before or after creation
clock  deadline passed                 cancel, also an order that only another service has mentioned; a demand to
                                       cancel without an order is deleted SAGA_INBOX_DAYS later
says   commande.creee                  goods held, money taken, client accepted
       commande.annulee                everything must be undone
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from services.commande import store
from services.commande.reactions import FORGETS, ORCHESTRATION, REACTIONS, TIMED

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
    orchestration=ORCHESTRATION,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

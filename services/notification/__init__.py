"""Notification: the messages to the customer.

hears  commande.creee           send the confirmation
       commande.annulee         send the cancellation; after a confirmation, a correction
says   notification.envoyee     a message was sent, and cannot be unsent
owns   the tables of store.py; nobody else reads them
calls  the mail carrier of courrier.py; while it is down, the inbox is held
"""

from choregraphie import Service
from services.notification import store
from services.notification.courrier import ouvrir, verifier
from services.notification.reactions import ORCHESTRATION, REACTIONS

SERVICE = Service(
    "notification",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    externals=ouvrir,
    check=verifier,
    orchestration=ORCHESTRATION,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

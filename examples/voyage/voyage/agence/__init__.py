"""Agence: the voyages. This service is the only decider.

hears  voyage.demande                record the voyage, start its deadline
       vol.refuse, hotel.refuse,
       voiture.refusee,
       paiement.echoue               cancel
       paiement.effectue             confirm
       voyage.annulation_demandee    cancel, before or after the confirmation
clock  deadline passed               cancel, also a voyage that only another service has mentioned; a demand to
                                     cancel without a voyage is deleted SAGA_INBOX_DAYS later
says   voyage.confirme               flight, hotel and car are booked and paid
       voyage.annule                 everything must be undone
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from voyage.agence import store
from voyage.agence.reactions import FORGETS, REACTIONS, TIMED

SERVICE = Service(
    "agence",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    cancelled=store.annules,
    timed=TIMED,
    forgets=FORGETS,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

"""Inscription: the enrolments. This service is the only decider.

hears  inscription.demandee              record it, start its deadline
       place.reservee                    confirm
       place.refusee                     cancel
       inscription.annulation_demandee   cancel, before or after it is confirmed
clock  deadline passed                   cancel; a demand to cancel without a request is deleted
                                         SAGA_INBOX_DAYS later
says   inscription.confirmee             a place is held
       inscription.annulee               everything must be undone
owns   the table of store.py; nobody else reads it
"""

from choregraphie import Service

from __NAME__.inscription import store
from __NAME__.inscription.reactions import FORGETS, REACTIONS, TIMED

SERVICE = Service(
    "inscription",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    cancelled=store.annulees,
    timed=TIMED,
    forgets=FORGETS,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

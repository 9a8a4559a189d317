"""Orchestrateur: says what each service has to do for an order, and in which order it is undone.

hears  commande.initiee, commande.annulation_demandee, and every answer of the services
says   stock.reserver, stock.vendre, stock.liberer
       paiement.debiter, paiement.rembourser
       commande.creer, commande.annuler
       notification.envoyer, notification.prevenir
clock  an answer that is too late: before the order is created, undo; after it, a person must look
owns   one row an order; nobody else reads them
"""

from choregraphie.orchestration import orchestrator
from services.orchestrateur.saga import ORCHESTRATION

SERVICE = orchestrator(ORCHESTRATION, canvas=__doc__)

__all__ = ["ORCHESTRATION", "SERVICE"]

"""Stock: the products available, and the reservations of orders.

hears  commande.initiee              hold the goods
       commande.creee                sell what was held
       commande.annulee              release the goods
says   stock.reserve                 held
       stock.reservation_echouee     not enough, or unknown product; nothing is held
       stock.libere                  released, or there was nothing to release
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from services.stock import store
from services.stock.reactions import ORCHESTRATION, REACTIONS

SERVICE = Service(
    "stock",
    REACTIONS,
    tables=store.TABLES,
    inspect=store.inspect,
    seed=store.seed,
    orchestration=ORCHESTRATION,
    canvas=__doc__,
)

__all__ = ["SERVICE"]

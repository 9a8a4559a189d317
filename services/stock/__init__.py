"""Stock: the products available, and the reservations of orders.

hears  commande.initiee              hold the goods
       commande.creee                what was held is sold
       commande.annulee              put them back
says   stock.reserve                 held
       stock.reservation_echouee     not enough, or unknown product; nothing is held
       stock.libere                  put back, or there was nothing to put back
owns   the tables of store.py; nobody else reads them
"""

from choregraphie import Service
from services.stock import store
from services.stock.reactions import REACTIONS

SERVICE = Service("stock", REACTIONS, tables=store.TABLES, inspect=store.inspect, seed=store.seed)

__all__ = ["SERVICE"]

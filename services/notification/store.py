"""The table of the notification service: the messages that were sent."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from sqlalchemy import Column, Connection, MetaData, Table, Text, func, select

from choregraphie import Instant, Row
from contracts.notification import Modele

TABLES = MetaData()


@dataclass
class Envoi(Row):
    """A message that was sent. `cle` is its idempotency key."""

    TABLE: ClassVar = Table(
        "envois",
        TABLES,
        Column("cle", Text, primary_key=True),
        Column("commande_id", Text, nullable=False, index=True),
        Column("modele", Text, nullable=False),
        Column("destinataire", Text, nullable=False),
        Column("envoye_le", Instant, nullable=False),
    )

    cle: str
    commande_id: str
    modele: str
    destinataire: str
    envoye_le: dt.datetime


def inspect(connection: Connection) -> dict[str, Any]:
    modele = Envoi.TABLE.c.modele
    counts = connection.execute(select(modele, func.count()).group_by(modele))
    found: dict[str, int] = dict(counts.all())
    return {"messages": {name: found.get(name, 0) for name in get_args(Modele)}}

"""The shop's own table, the outbox beside it, and the rule that may refuse an order."""

import datetime as dt
from decimal import Decimal

from sqlalchemy import DateTime, Numeric, String, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from choregraphie.client import create_outbox, say_async
from contracts.client import CommandeInitiee

SOURCE = "/clients/boutique"
# What a customer may order in all.
PLAFOND = Decimal("10000.00")


class Base(DeclarativeBase):
    pass


class Commande(Base):
    """An order as the shop keeps it; what became of it, the monitor knows."""

    __tablename__ = "commandes"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(100), index=True)
    produit_id: Mapped[str] = mapped_column(String(100))
    quantite: Mapped[int]
    montant: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    passee_le: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


# With the shop's tables: `metadata.create_all` makes it, and Alembic finds it.
create_outbox(Base.metadata)


class PlafondDepasse(Exception):
    """The customer's orders exceed PLAFOND."""


async def passer(session: AsyncSession, commande: Commande) -> None:
    """Keep the order and begin its saga, in the transaction of `session`. Raises PlafondDepasse."""
    # One order of a customer at a time: two transactions do not see each other's sum.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(commande.client_id))))
    session.add(commande)
    await session.flush()
    await say_async(
        session,
        CommandeInitiee(
            commande_id=commande.id,
            client_id=commande.client_id,
            produit_id=commande.produit_id,
            quantite=commande.quantite,
            montant=commande.montant,
        ),
        source=SOURCE,
    )
    # After both writes, on purpose: the rollback takes the row and the event away together.
    total = select(func.sum(Commande.montant)).where(Commande.client_id == commande.client_id)
    if (await session.execute(total)).scalar_one() > PLAFOND:
        raise PlafondDepasse(f"{commande.client_id} may order for {PLAFOND} in all")

"""What is left when a run of the order saga is over: with the world outside, in the words of the order saga."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

from choregraphie.simulator.final_state import FinalState
from services.scenario.externals import Mail


class OrderFinalState(FinalState):
    """The final state of a run. `externals`: what the gateway has `charged` and the carrier has `sent`."""

    @property
    def charged(self) -> Mapping[str, Decimal]:
        """What the gateway holds, by key."""
        charged: Mapping[str, Decimal] = self.externals["charged"]
        return charged

    @property
    def sent(self) -> Mapping[str, Mail]:
        """What has left with the carrier, by key."""
        sent: Mapping[str, Mail] = self.externals["sent"]
        return sent

    @cached_property
    def notified(self) -> dict[str, dict[str, str]]:
        """What the customers were told, by the books: by order, the kind of letter by its key."""
        found: dict[str, dict[str, str]] = {}
        for row in self.rows("notification", "envois"):
            found.setdefault(row["commande_id"], {})[row["cle"]] = row["modele"]
        return found

    @cached_property
    def orders(self) -> dict[str, dict[str, Any]]:
        """The decider's orders that have really begun."""
        rows = self.rows("commande", "commandes")
        return {row["commande_id"]: row for row in rows if row["etat"] != "inconnue"}

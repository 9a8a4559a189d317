"""The final state of a run of the order saga, with the content of the gateway and of the carrier."""

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
        """The amounts charged at the gateway, by key."""
        charged: Mapping[str, Decimal] = self.externals["charged"]
        return charged

    @property
    def sent(self) -> Mapping[str, Mail]:
        """The messages that the carrier has sent, by key."""
        sent: Mapping[str, Mail] = self.externals["sent"]
        return sent

    @cached_property
    def messages(self) -> dict[str, dict[str, str]]:
        """The messages recorded by the notification service: by order, the kind of each by its key."""
        found: dict[str, dict[str, str]] = {}
        for row in self.rows("notification", "envois"):
            found.setdefault(row["commande_id"], {})[row["cle"]] = row["modele"]
        return found

    @cached_property
    def orders(self) -> dict[str, dict[str, Any]]:
        """The orders that the decider has heard itself."""
        rows = self.rows("commande", "commandes")
        return {row["commande_id"]: row for row in rows if row["etat"] != "inconnue"}

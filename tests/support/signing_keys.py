"""Keys of everybody in the order saga, as files, and events that are signed with them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from choregraphie.messaging import ContentHeader, Delivery, Outgoing, Properties
from choregraphie.saga.envelope import CONTENT_TYPE
from choregraphie.saga.topology import events
from choregraphie.signing import signer_for
from choregraphie.signing.key_files import KeyFiles

if TYPE_CHECKING:
    from pathlib import Path

OWNERS = ("client", "stock", "paiement", "commande", "notification", "ops")


def signing(folder: Path) -> dict[str, str]:
    """The settings of signatures with keys in that folder, by name."""
    return {
        "signing": "ed25519",
        "signing_key": f"{folder}/private/{{service}}.pem",
        "signing_public": f"{folder}/public",
    }


def with_keys(folder: Path) -> Settings:
    """Settings with signatures, and a pair of keys for everybody."""
    settings = Settings.model_validate(signing(folder))
    for owner in OWNERS:
        KeyFiles.of(settings).make(owner)
    return settings


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(speaker: str, type_: str, source: str = "", **data: Any) -> Outgoing:
    """An event as its speaker publishes it, not signed."""
    envelope = {
        "specversion": "1.0",
        "id": "e-1",
        "type": type_,
        "source": source or (f"/services/{speaker}" if speaker != "client" else "/clients/test"),
        "time": now(),
        "data": data,
    }
    properties = Properties(message_id="e-1", type=type_, content_type=CONTENT_TYPE)
    return Outgoing(events(speaker), type_, json.dumps(envelope).encode(), properties)


def order(**changes: Any) -> Outgoing:
    data = {"commande_id": "CMD-1", "client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2}
    return event("client", "commande.initiee", **{**data, "montant": 99.99, **changes})


def signed(message: Outgoing, settings: Settings, owner: str) -> Outgoing:
    signer = signer_for(settings, owner)
    assert signer is not None
    return signer.sign(message)


def delivered(message: Outgoing, **changes: Any) -> Delivery:
    """The message as it is received; `changes`: other fields."""
    header = ContentHeader(message.headers, message.properties)
    return Delivery(1, message.body, message.exchange, message.routing_key, header)._replace(**changes)

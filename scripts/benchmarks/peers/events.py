"""The events of the saga for peers, without the engine around them.

Importing `choregraphie` loads the whole engine, which no peer uses and whose memory and start are not theirs; so
the package is entered in `sys.modules` without its first page, and only the declarations of events are read.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

if "choregraphie" not in sys.modules:
    _package = types.ModuleType("choregraphie")
    _package.__path__ = [str(Path(__file__).resolve().parents[3] / "choregraphie")]
    sys.modules["choregraphie"] = _package

from choregraphie.saga.envelope import CONTENT_TYPE, Envelope, Event, envelope_of, wrap
from choregraphie.saga.registry import adapter
from contracts.client import CommandeInitiee
from contracts.commande import CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.paiement import PaiementEffectue
from contracts.stock import StockReserve

__all__ = [
    "CONTENT_TYPE",
    "CommandeCreee",
    "CommandeInitiee",
    "Envelope",
    "Event",
    "NotificationEnvoyee",
    "PaiementEffectue",
    "StockReserve",
    "adapter",
    "envelope_of",
    "wrap",
]

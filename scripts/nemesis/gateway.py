"""A card gateway outside the workers: it outlives them all, and remembers every charge that it made."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field, replace
from decimal import Decimal

from scripts.nemesis.gateway_server import GatewayServer
from scripts.nemesis.history import Charge


@dataclass
class Till(GatewayServer):
    """A gateway that keeps what it charged, for whom and how much, also once it was taken back."""

    kept: dict[str, Charge] = field(default_factory=dict)

    def _charge(self, key: str, body: bytes) -> bytes:
        answer = super()._charge(key, body)
        if key in self.charged and key not in self.kept:
            order = key.split(":", 2)[-1]
            self.kept[key] = Charge(key, order, Decimal(json.loads(body)["montant"]))
        return answer

    def _cancel(self, key: str) -> bytes:
        if key in self.kept:
            self.kept[key] = replace(self.kept[key], taken_back=True)
        return super()._cancel(key)


class Gateway:
    """Listens on a port of its own, in a thread of its own."""

    def __init__(self) -> None:
        self._till = Till()
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        if not self._opened.wait(10):
            raise TimeoutError("the gateway did not start")

    @property
    def url(self) -> str:
        return self._till.url

    def charges(self) -> tuple[Charge, ...]:
        return tuple(self._till.kept.values())

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(10)
            self._loop.close()

    async def _serve(self) -> None:
        async with self._till.running():
            self._opened.set()
            await self._closing.wait()

"""The management HTTP API of the broker, for one virtual host: what an operator does and sees."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

Rows = list[dict[str, Any]]


class ManagementError(Exception):
    """The management API did not answer, or answered with an error."""


class Management:
    """Its message counts lag by seconds; `ForeignClient.count` gives exact ones."""

    def __init__(self, base_url: str, user: str, password: str, vhost: str) -> None:
        parts = urlsplit(base_url)
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/api"
        self._login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.user = user
        self.vhost = vhost

    def broker_version(self) -> tuple[int, ...]:
        version: str = self._ask("GET", "overview")["rabbitmq_version"]
        return tuple(int(part) for part in version.split("-")[0].split("."))

    def create_vhost(self) -> None:
        self._ask("PUT", f"vhosts/{self._vhost}")
        self.set_permissions(self.user)

    def delete_vhost(self) -> None:
        self._ask("DELETE", f"vhosts/{self._vhost}")

    def nodes(self) -> Rows:
        """The nodes of the broker, each with `name` and `running`."""
        return self._rows("nodes")

    def queues(self) -> Rows:
        """Each with `name`, `type`, `durable`, `arguments`."""
        return self._rows(f"queues/{self._vhost}")

    def queue(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = self._ask("GET", f"queues/{self._vhost}/{quote(name, safe='')}")
        return row

    def exchanges(self) -> Rows:
        """Each with `name`, `type`, `durable`, `arguments`; without the built-in ones."""
        rows = self._rows(f"exchanges/{self._vhost}")
        return [row for row in rows if row["name"] and not row["name"].startswith("amq.")]

    def bindings(self) -> Rows:
        """Each with `source`, `destination`, `destination_type`, `routing_key`; without the default exchange's."""
        return [row for row in self._rows(f"bindings/{self._vhost}") if row["source"]]

    def unbind(self, exchange: str, queue: str, key: str) -> None:
        """Delete a binding of a live topology, as an operator may by mistake."""
        for row in self.bindings():
            if (row["source"], row["destination"], row["routing_key"]) == (exchange, queue, key):
                place = f"{self._vhost}/e/{quote(exchange, safe='')}/q/{quote(queue, safe='')}"
                self._ask("DELETE", f"bindings/{place}/{quote(row['properties_key'], safe='')}")

    def delete_queue(self, name: str) -> None:
        self._ask("DELETE", f"queues/{self._vhost}/{quote(name, safe='')}")

    def delete_exchange(self, name: str) -> None:
        self._ask("DELETE", f"exchanges/{self._vhost}/{quote(name, safe='')}")

    @contextmanager
    def policy(self, pattern: str, **definition: Any) -> Iterator[None]:
        """A policy for the queues whose name matches; deleted afterwards."""
        place = f"policies/{self._vhost}/p-{uuid.uuid4().hex[:8]}"
        content = {"pattern": pattern, "apply-to": "queues", "definition": definition}
        self._ask("PUT", place, content)
        try:
            yield
        finally:
            self._ask("DELETE", place)

    def connections(self) -> Rows:
        return self._rows(f"vhosts/{self._vhost}/connections")

    def channels(self) -> Rows:
        """Each with `connection_details` and, after its first operation, `message_stats`."""
        return self._rows(f"vhosts/{self._vhost}/channels")

    def consumers(self) -> Rows:
        """Each with `queue` and `channel_details`."""
        return self._rows(f"consumers/{self._vhost}")

    def close_connections(self, name_contains: str = "", *, at_least: int = 1, within_seconds: float = 15) -> int:
        """Close connections whose client-given name contains the text, once `at_least` are listed (5 s late).

        Returns how many were closed.
        """
        deadline = time.monotonic() + within_seconds
        while True:
            rows = [row for row in self.connections() if name_contains in row.get("user_provided_name", "")]
            if len(rows) >= at_least or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        for row in rows:
            self._ask("DELETE", f"connections/{quote(row['name'], safe='')}", missing_ok=True)
        return len(rows)

    def set_permissions(self, user: str, *, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        self._ask(
            "PUT",
            f"permissions/{self._vhost}/{quote(user, safe='')}",
            {"configure": configure, "write": write, "read": read},
        )

    def clear_permissions(self, user: str) -> None:
        self._ask("DELETE", f"permissions/{self._vhost}/{quote(user, safe='')}", missing_ok=True)

    @contextmanager
    def identity(
        self, *, configure: str = "^$", write: str = "^$", read: str = "^$", tags: str = ""
    ) -> Iterator[str]:
        """A new user with these permissions here, as `name:password`; deleted afterwards."""
        name, password = f"u-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
        self._ask("PUT", f"users/{name}", {"password": password, "tags": tags})
        try:
            self.set_permissions(name, configure=configure, write=write, read=read)
            yield f"{name}:{password}"
        finally:
            self._ask("DELETE", f"users/{name}")

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password. Open connections stay open."""
        self._ask("PUT", f"users/{quote(user, safe='')}", {"password": password, "tags": ""})

    def policies(self) -> Rows:
        """Each with `name`, `pattern`, `definition`."""
        return self._rows(f"policies/{self._vhost}")

    def import_definitions(self, document: dict[str, Any]) -> None:
        self._ask("POST", "definitions", document)

    def users(self) -> Rows:
        """The users of the whole broker, each with `name` and `tags`."""
        return self._rows("users")

    def delete_user(self, user: str) -> None:
        self._ask("DELETE", f"users/{quote(user, safe='')}")

    @property
    def _vhost(self) -> str:
        return quote(self.vhost, safe="")

    def _rows(self, path: str) -> Rows:
        rows: Rows = self._ask("GET", path)
        return rows

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, missing_ok: bool = False) -> Any:
        request = urllib.request.Request(
            f"{self._base}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._login, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if missing_ok and error.code == 404:
                    return None
                raise ManagementError(
                    f"{method} {path}: {error.code} {error.read(300).decode(errors='replace')}"
                ) from error
        except OSError as error:
            raise ManagementError(f"{method} {path}: {error}") from error
        return json.loads(content) if content else None

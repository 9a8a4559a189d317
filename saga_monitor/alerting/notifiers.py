"""Notifiers send notices of alerts: by a webhook, or by Apprise."""

import asyncio
import json
import subprocess
import sys
from typing import Any, Protocol

import httpx

from choregraphie import BadSetting, Settings
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.alerting.rules import Notice, Severity, Status, path_of


class NotificationFailed(Exception):
    """A notice was not taken. The text names no address, which may hold a secret."""

    def __init__(self, why: str, *, retryable: bool = True) -> None:
        super().__init__(why)
        self.retryable = retryable


class Notifier(Protocol):
    """Sends notices to one kind of receiver."""

    name: str

    async def notify(self, notice: Notice) -> None:
        """Send a notice. Raises NotificationFailed when it was not taken."""


class Webhook:
    """Posts JSON; any 2xx means taken. When the URL is refused, its file is read again through `settings`."""

    name = "webhook"

    def __init__(
        self, url: str, client: httpx.AsyncClient, sagas: SagaSet, settings: Settings | None = None
    ) -> None:
        self._url, self._client, self._sagas, self._settings = url, client, sagas, settings

    async def notify(self, notice: Notice) -> None:
        try:
            # Only the status matters. The body is not read, so it may be of any length and slowness.
            async with self._client.stream("POST", self._url, json=notice.as_json(self._sagas)) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotificationFailed(type(error).__name__) from error
        if not 200 <= status < 300:
            # A request that is itself wrong will be wrong again.
            ours = 300 <= status < 500 and status not in {408, 425, 429}
            if ours and self._settings and self._settings.read_again("alert_webhook"):
                self._url, ours = self._settings.current("alert_webhook"), False
            raise NotificationFailed(f"HTTP {status}", retryable=not ours)


class Apprise:
    """Sends to all that the library Apprise can reach.

    When not all addresses take a notice, their file is read again through `settings`.
    """

    name = "apprise"

    def __init__(self, urls: str, sagas: SagaSet, settings: Settings | None = None) -> None:
        """Raises BadSetting when the library is not there, or does not know an address."""
        self._urls, self._sagas, self._settings = addresses(urls), sagas, settings

    async def notify(self, notice: Notice) -> None:
        delivered = False
        try:
            delivered = await self._notify(notice)
        finally:
            # Apprise does not say why an address failed, so each failed try reads the file again.
            if not delivered and self._settings and self._settings.read_again("alert_apprise", addresses):
                self._urls = addresses(self._settings.current("alert_apprise"))
        if not delivered:
            raise NotificationFailed("not all addresses took it")

    async def _notify(self, notice: Notice) -> bool:
        # In a process of its own: Apprise reads a server's answer to its end, in a thread that cannot be stopped.
        command = (sys.executable, "-m", "saga_monitor.alerting.apprise_process")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            # By standard input: an address may hold a secret, and other users can read a command line.
            await process.communicate(json.dumps(self._message(notice)).encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode == 0

    def _message(self, notice: Notice) -> dict[str, Any]:
        named = (path_of(one) if self._sagas.several else one.key for one in notice.alert.instances)
        return {
            "urls": self._urls,
            "body": f"{notice.alert.sentence}\n{', '.join(named)}".strip(),
            "title": f"chorégraphie {notice.title}",
            "notify_type": _notify_type(notice),
        }


def _notify_type(notice: Notice) -> str:
    if notice.status is Status.CLOSED:
        return "success"
    return "failure" if notice.alert.severity == Severity.CRITICAL else "warning"


def addresses(urls: str) -> list[str]:
    """The Apprise addresses in `urls`, which holds them with spaces between.

    Raises BadSetting when the library is not installed, or does not know one of them.
    """
    try:
        # Imported late: it is an optional extra.
        import apprise
    except ImportError:
        raise BadSetting("SAGA_ALERT_APPRISE needs the extra: pip install 'choregraphie[alerts]'") from None
    found = urls.split()
    for number, url in enumerate(found, start=1):
        if not apprise.Apprise().add(url):
            raise BadSetting(f"SAGA_ALERT_APPRISE: address number {number} is none that Apprise knows")
    return found

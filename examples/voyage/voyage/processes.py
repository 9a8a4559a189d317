"""The processes of the demonstration: each with a log of its own, all ended when the demonstration ends."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 15.0


class ProcessEnded(Exception):
    """A process ended by itself. The text names it, with the last line of its log."""


class Processes:
    """Python programs with the settings of the environment and `settings`, ended at the end of the block."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **settings}
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._running):
            await self.stop(name)

    async def start(self, name: str, module: str, *arguments: str, **settings: object) -> None:
        """Start `python -m module arguments` under `name`; `deadline=2` is SAGA_DEADLINE=2 for it alone."""
        self._running[name] = await self._begin(name, module, *arguments, **settings)

    async def finish(self, module: str, *arguments: str) -> None:
        """Run `python -m module arguments` to its end. Raises ProcessEnded when it fails."""
        self.check()
        name = " ".join((module, *arguments[:1]))
        process = await self._begin(name, module, *arguments)
        if await process.wait() != 0:
            raise ProcessEnded(f"{name} failed: {self._last_line(name)}")

    async def stop(self, name: str) -> None:
        """End a process: by SIGTERM, and after STOP_SECONDS by SIGKILL."""
        process = self._running.pop(name)
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()

    def check(self) -> None:
        """Raises ProcessEnded when one of them has ended by itself."""
        for name, process in self._running.items():
            if process.returncode is not None:
                raise ProcessEnded(f"{name} ended with {process.returncode}: {self._last_line(name)}")

    async def _begin(
        self, name: str, module: str, *arguments: str, **settings: object
    ) -> asyncio.subprocess.Process:
        own = {f"SAGA_{key.upper()}": str(value) for key, value in settings.items()}
        with self._log(name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *arguments, env=self._environment | own, stdout=log, stderr=log
            )

    def _log(self, name: str) -> Path:
        return self._folder / f"{name.replace(' ', '-')}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

"""`dlq hold`, `dlq discard` and `dlq edit`: what becomes of dead letters that are not simply sent back."""

import argparse
import asyncio
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from choregraphie.application import Application
from choregraphie.cli.dlq_session import add_because, add_services, find, services_of, treating
from choregraphie.dead_letters.outgoing import as_delivered
from choregraphie.dead_letters.selection import Found
from choregraphie.dead_letters.treatment import Treatment
from choregraphie.errors import ChoregraphieError, UserError
from choregraphie.messaging import Delivery
from choregraphie.pipeline.decoder import Decoder
from choregraphie.saga.envelope import MAX_BODY_BYTES
from choregraphie.service.service import Service
from choregraphie.service.verdict import DeadLetter
from choregraphie.settings import Settings

_EDITORS = ("VISUAL", "EDITOR")
_DEFAULT_EDITOR = "vi"


def add(actions: Any, application: Application) -> None:
    """Add the actions to those of `dlq`."""
    hold = actions.add_parser(
        "hold",
        help="mark letters, so that no `replay --all` takes them",
        description="Mark letters as held, with the reason. They stay in their queue; a replay takes them only by "
        "their ids.",
    )
    discard = actions.add_parser(
        "discard",
        help="remove letters for good; the audit keeps their bytes",
        description="Remove letters from their queue. The audit keeps their bytes and the reason, and the monitor "
        "asks nobody to act on them any more.",
    )
    for action, do in ((hold, _hold), (discard, _discard)):
        action.add_argument("ids", nargs="+", metavar="ID", help="as `dlq list` shows it")
        add_services(action, application)
        add_because(action)
        action.set_defaults(do=do)
    _add_edit(actions, application)


def _add_edit(actions: Any, application: Application) -> None:
    edit = actions.add_parser(
        "edit",
        help="change the bytes of a letter in $EDITOR; the audit keeps the original",
        description="Open the bytes of a letter in $VISUAL or $EDITOR. What its service would not accept is "
        "refused, and the letter stays as it is. Otherwise the edited letter takes its place, under another id, "
        "and waits to be sent back; the audit keeps the original.",
    )
    edit.add_argument("id", metavar="ID", help="as `dlq list` shows it")
    edit.add_argument("--file", type=Path, metavar="FILE", help="take the bytes from this file, without an editor")
    add_services(edit, application)
    add_because(edit)
    edit.set_defaults(do=_edit)


def _hold(options: argparse.Namespace, settings: Settings) -> int:
    count = asyncio.run(_treat(options, settings, "hold"))
    print(f"{count} held")
    return 0


def _discard(options: argparse.Namespace, settings: Settings) -> int:
    count = asyncio.run(_treat(options, settings, "discard"))
    print(f"{count} discarded")
    return 0


async def _treat(options: argparse.Namespace, settings: Settings, act: str) -> int:
    async with treating(options, settings) as treatment:
        found = await find(treatment, services_of(options), frozenset(options.ids))
        await (treatment.hold(found) if act == "hold" else treatment.discard(found))
    return len(found)


def _edit(options: argparse.Namespace, settings: Settings) -> int:
    delivery, letter = asyncio.run(_only(options, settings))
    if letter.service not in options.application.own:
        raise UserError(
            f"{letter.service} is run by others: whether it would accept an edited letter is not known"
        )
    body = _read(options.file) if options.file else _in_editor(delivery.body)
    if body == delivery.body:
        raise UserError("nothing was changed")
    try:
        _check_accepted(options.application.own[letter.service], delivery, body)
        new_id = asyncio.run(_replace(options, settings, body))
    except ChoregraphieError as error:
        raise UserError(f"{error}{_saved(options, body)}") from None
    print(f"{new_id} is in its place; `dlq replay {new_id}` sends it to {letter.service}")
    return 0


def _check_accepted(service: Service, delivery: Delivery, body: bytes) -> None:
    """Raises UserError when `service` would set the letter aside again with this body."""
    if len(body) > MAX_BODY_BYTES:
        raise UserError(f"{len(body)} bytes are too many; a message has {MAX_BODY_BYTES} at most")
    refused = Decoder(service).decode(as_delivered(delivery._replace(body=body), service.name))
    if isinstance(refused, DeadLetter):
        raise UserError(f"{service.name} would not accept it ({refused.reason.value}: {refused.detail})")


async def _only(options: argparse.Namespace, settings: Settings) -> Found:
    async with treating(options, settings) as treatment:
        return await _one(options, treatment)


async def _one(options: argparse.Namespace, treatment: Treatment) -> Found:
    return (await find(treatment, services_of(options), frozenset({options.id})))[0]


async def _replace(options: argparse.Namespace, settings: Settings, body: bytes) -> str:
    # Taken again: no connection is held while a person thinks.
    async with treating(options, settings) as treatment:
        return await treatment.replace(await _one(options, treatment), body)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _in_editor(body: bytes) -> bytes:
    editor = next((os.environ[name] for name in _EDITORS if os.environ.get(name)), _DEFAULT_EDITOR)
    with tempfile.TemporaryDirectory(prefix="dead-letter-") as folder:
        path = Path(folder) / "payload.json"
        path.write_bytes(body)
        try:
            code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode  # noqa: S603 - the user's editor
        except (OSError, ValueError) as error:
            raise UserError(f"the editor {editor} does not start: {error}; set EDITOR, or give --file") from None
        if code != 0:
            raise UserError(f"the editor {editor} ended with code {code}; the letter stays as it is")
        edited = _read(path)
    # Editors end the last line; the bytes of a message do not.
    return edited.removesuffix(b"\n") if not body.endswith(b"\n") else edited


def _saved(options: argparse.Namespace, body: bytes) -> str:
    """Where the edited text is now, so that the work on it is not lost."""
    if options.file:
        return ""
    with tempfile.NamedTemporaryFile(prefix="dead-letter-", suffix=".json", delete=False) as kept:
        kept.write(body)
    return f"; your text is in {kept.name}, which --file takes"

"""The mail carriers: a folder, a server, and a simulated one that fails at random."""

import asyncio
import email
import errno
import os
import random
import shutil
from pathlib import Path

import aiosmtplib
import pytest

from choregraphie import BadSetting, ResourceShortage
from choregraphie.settings import read_settings_as
from services.notification.composition import digest
from services.notification.courrier import CourrierCapricieux, EnvoiPerdu, Smtp, ouvrir
from services.notification.maildir import MOST_THREADS, Maildir
from services.settings import OrderSettings
from tests.support.smtp_server import MailServer, mail_server

MAIL = ("key-1", "CMD-1", "Votre commande CMD-1 est confirmée", "Bonjour,\n\nc'est confirmé.\n.\nFin\n")


def smtp(server: MailServer) -> Smtp:
    return Smtp(f"smtp://127.0.0.1:{server.port}", "clients.invalid", 60)


async def test_a_mail_reaches_the_server_unchanged() -> None:
    async with mail_server() as server:
        assert await smtp(server).envoyer(*MAIL) == "CMD-1@clients.invalid"
    (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == (MAIL[2], "CMD-1@clients.invalid")
    assert "c'est confirmé." in mail.get_content()
    assert "Fin" in mail.get_content()


async def test_a_mail_sent_again_has_the_same_message_id() -> None:
    async with mail_server() as server:
        server.answers.append(b"")
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await smtp(server).envoyer(*MAIL)
        await smtp(server).envoyer(*MAIL)
        await smtp(server).envoyer("key-2", *MAIL[1:])
    first, again, other = (mail["Message-ID"] for mail in server.mails)
    assert first == again != other


async def test_a_server_that_refuses_is_an_error_that_is_retried() -> None:
    async with mail_server() as server:
        server.answers.append(b"451 later")
        with pytest.raises(aiosmtplib.SMTPException):
            await smtp(server).envoyer(*MAIL)
        await smtp(server).envoyer(*MAIL)
    assert len(server.mails) == 1


async def test_a_server_that_is_away_is_an_error_that_is_retried() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await smtp(server).envoyer(*MAIL)


async def test_the_settings_name_a_server(tmp_path: Path) -> None:
    async with (
        mail_server() as server,
        ouvrir(OrderSettings(carrier=f"smtp://127.0.0.1:{server.port}")) as courrier,
    ):
        await courrier.envoyer(*MAIL)
    assert len(server.mails) == 1


async def test_the_settings_name_a_folder_which_is_created(tmp_path: Path) -> None:
    async with ouvrir(OrderSettings(carrier=f"maildir:{tmp_path}/a/b", mail_domain="chez.example")) as courrier:
        assert await courrier.envoyer(*MAIL) == "CMD-1@chez.example"
    assert len(list((tmp_path / "a/b/new").iterdir())) == 1
    assert list((tmp_path / "a/b/tmp").iterdir()) == []


async def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="SAGA_CARRIER"):
        async with ouvrir(OrderSettings(carrier=f"maildir:{tmp_path}/file/x")):
            pass


async def test_a_simulated_failure_comes_before_the_mail_is_sent(tmp_path: Path) -> None:
    courrier = CourrierCapricieux(Maildir(tmp_path, "clients.invalid"), 1, random.Random(1))
    with pytest.raises(EnvoiPerdu):
        await courrier.envoyer(*MAIL)
    assert list((tmp_path / "new").iterdir()) == []


async def test_a_mail_that_cannot_be_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    courrier = Maildir(tmp_path, "clients.invalid")
    monkeypatch.setattr("os.fsync", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            await courrier.envoyer(*MAIL)
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_drafts_of_workers_that_died_are_deleted_when_they_are_old(tmp_path: Path) -> None:
    Maildir(tmp_path, "clients.invalid")
    old, young = tmp_path / "tmp" / "old", tmp_path / "tmp" / "young"
    for draft in (old, young):
        draft.write_text("half a let")
    os.utime(old, (0, 0))
    Maildir(tmp_path, "clients.invalid")
    assert list((tmp_path / "tmp").iterdir()) == [young]


async def test_a_server_that_refuses_has_its_url_read_again_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "carrier"
    async with mail_server() as old, mail_server() as new:
        secret.write_text(f"smtp://127.0.0.1:{old.port}")
        old.answers += [b"550 not from you"] * 2
        async with ouvrir(read_settings_as(OrderSettings, {"SAGA_CARRIER_FILE": str(secret)})) as courrier:
            for content in (f"maildir:{tmp_path}/mail", f"smtp://127.0.0.1:{new.port}"):
                secret.write_text(content)
                with pytest.raises(aiosmtplib.SMTPException):
                    await courrier.envoyer(*MAIL)
            await courrier.envoyer(*MAIL)
    assert (len(old.mails), len(new.mails)) == (0, 1)


async def test_a_server_that_takes_only_ascii_gets_the_same_mail() -> None:
    async with mail_server(extensions=()) as server:
        await smtp(server).envoyer(*MAIL)
    (mail,) = server.mails
    assert server.raw[0].isascii()
    assert (mail["Subject"], mail.get_content()) == (MAIL[2], MAIL[3].replace("\n", "\r\n"))


async def test_mails_of_one_moment_are_all_written_each_once(tmp_path: Path) -> None:
    courrier = Maildir(tmp_path, "clients.invalid")
    await courrier.envoyer("key-0", *MAIL[1:])
    keys = [f"key-{n}" for n in range(40)]
    await asyncio.gather(*(courrier.envoyer(cle, *MAIL[1:]) for cle in [*keys, *keys]))
    ids = {email.message_from_bytes(file.read_bytes())["Message-ID"] for file in (tmp_path / "new").iterdir()}
    assert len(ids) == len(list((tmp_path / "new").iterdir())) == 40
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_a_mail_that_cannot_be_written_affects_no_other_of_its_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    courrier, rename = Maildir(tmp_path, "clients.invalid"), os.rename
    failing = f"{digest('key-7')}."

    def rename_some(draft: str, target: str) -> None:
        if Path(draft).name.startswith(failing):
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(draft, target)

    monkeypatch.setattr("os.rename", rename_some)
    sending = (courrier.envoyer(f"key-{n}", *MAIL[1:]) for n in range(20))
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, OSError)] == [7]
    assert len(list((tmp_path / "new").iterdir())) == 19
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_mails_are_written_again_once_threads_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    folder = Maildir(tmp_path, "clients.invalid")
    with monkeypatch.context() as short:
        short.setattr(asyncio.get_running_loop(), "run_in_executor", no_thread)
        for number in range(MOST_THREADS + 1):
            with pytest.raises(RuntimeError, match="thread"):
                await folder.envoyer(f"key-{number}", *MAIL[1:])
    assert await folder.envoyer(*MAIL) == "CMD-1@clients.invalid"


async def test_a_caller_that_gives_up_leaves_the_others_their_mails(tmp_path: Path) -> None:
    courrier = Maildir(tmp_path, "clients.invalid")
    sending = [asyncio.ensure_future(courrier.envoyer(f"key-{n}", *MAIL[1:])) for n in range(12)]
    await asyncio.sleep(0)
    for one in sending[::2]:
        one.cancel()
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert outcomes[1::2] == ["CMD-1@clients.invalid"] * 6
    await courrier.envoyer("key-0", *MAIL[1:])
    assert {digest(f"key-{n}") for n in (0, *range(1, 12, 2))} <= {
        file.name for file in (tmp_path / "new").iterdir()
    }


async def test_a_mail_is_durable_with_its_name_before_it_counts_as_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[Path, list[str]]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        folder = tmp_path / "new"
        flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink(), [file.name for file in folder.iterdir()]))

    courrier = Maildir(tmp_path, "clients.invalid")
    monkeypatch.setattr("os.fsync", noted)
    await courrier.envoyer(*MAIL)
    (draft, before), (folder, after) = flushed
    assert (draft.parent.name, before) == ("tmp", [])
    assert (folder, after) == (tmp_path / "new", [digest(MAIL[0])])


async def test_a_folder_that_has_gone_is_a_shortage_of_the_worker_for_every_mail(tmp_path: Path) -> None:
    courrier = Maildir(tmp_path / "mails", "clients.invalid")
    shutil.rmtree(tmp_path / "mails")
    sending = (courrier.envoyer(f"key-{n}", *MAIL[1:]) for n in range(10))
    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ResourceShortage}

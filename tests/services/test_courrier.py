"""The mail carriers: a folder, a server, and a simulated one that fails at random."""

import errno
import os
import random
from pathlib import Path

import aiosmtplib
import pytest

from choregraphie import BadSetting, Settings, read_settings
from services.notification.courrier import CourrierCapricieux, Maildir, Smtp, ouvrir
from tests.support.smtp_server import MailServer, mail_server

MAIL = ("key-1", "CMD-1", "Votre commande CMD-1 est confirmée", "Bonjour,\n\nc'est confirmé.\n.\nFin\n")


def smtp(server: MailServer) -> Smtp:
    return Smtp(f"smtp://127.0.0.1:{server.port}", "clients.invalid", 5)


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
        ouvrir(Settings(carrier=f"smtp://127.0.0.1:{server.port}")) as courrier,
    ):
        await courrier.envoyer(*MAIL)
    assert len(server.mails) == 1


async def test_the_settings_name_a_folder_which_is_created(tmp_path: Path) -> None:
    async with ouvrir(Settings(carrier=f"maildir:{tmp_path}/a/b", mail_domain="chez.example")) as courrier:
        assert await courrier.envoyer(*MAIL) == "CMD-1@chez.example"
    assert len(list((tmp_path / "a/b/new").iterdir())) == 1
    assert list((tmp_path / "a/b/tmp").iterdir()) == []


async def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="SAGA_CARRIER"):
        async with ouvrir(Settings(carrier=f"maildir:{tmp_path}/file/x")):
            pass


async def test_a_simulated_failure_comes_before_the_mail_is_sent(tmp_path: Path) -> None:
    courrier = CourrierCapricieux(Maildir(tmp_path, "clients.invalid"), 1, random.Random(1))
    with pytest.raises(ConnectionError):
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
        async with ouvrir(read_settings({"SAGA_CARRIER_FILE": str(secret)})) as courrier:
            for content in (f"maildir:{tmp_path}/mail", f"smtp://127.0.0.1:{new.port}"):
                secret.write_text(content)
                with pytest.raises(aiosmtplib.SMTPException):
                    await courrier.envoyer(*MAIL)
            await courrier.envoyer(*MAIL)
    assert (len(old.mails), len(new.mails)) == (0, 1)

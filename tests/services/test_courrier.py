"""The mail carriers: a folder, a server, and one with dice."""

import errno
import os
import random
from pathlib import Path

import aiosmtplib
import pytest

from choregraphie import BadSetting, Settings, read_settings
from services.notification.courrier import CourrierCapricieux, Maildir, Smtp, ouvrir
from tests.support.smtp_server import MailServer, mail_server

LETTER = ("key-1", "CMD-1", "Votre commande CMD-1 est confirmée", "Bonjour,\n\nc'est confirmé.\n.\nFin\n")


def smtp(server: MailServer) -> Smtp:
    return Smtp(f"smtp://127.0.0.1:{server.port}", "clients.invalid", 5)


async def test_a_letter_reaches_the_server_as_it_was_written() -> None:
    async with mail_server() as server:
        assert await smtp(server).envoyer(*LETTER) == "CMD-1@clients.invalid"
    (letter,) = server.letters
    assert (letter["Subject"], letter["To"]) == (LETTER[2], "CMD-1@clients.invalid")
    assert "c'est confirmé." in letter.get_content()
    assert "Fin" in letter.get_content()


async def test_a_letter_sent_again_has_the_same_message_id() -> None:
    async with mail_server() as server:
        server.answers.append(b"")
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await smtp(server).envoyer(*LETTER)
        await smtp(server).envoyer(*LETTER)
        await smtp(server).envoyer("key-2", *LETTER[1:])
    first, again, other = (letter["Message-ID"] for letter in server.letters)
    assert first == again != other


async def test_a_server_that_says_no_is_an_error_to_be_retried() -> None:
    async with mail_server() as server:
        server.answers.append(b"451 later")
        with pytest.raises(aiosmtplib.SMTPException):
            await smtp(server).envoyer(*LETTER)
        await smtp(server).envoyer(*LETTER)
    assert len(server.letters) == 1


async def test_a_server_that_is_away_is_an_error_to_be_retried() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await smtp(server).envoyer(*LETTER)


async def test_the_settings_name_a_server(tmp_path: Path) -> None:
    async with (
        mail_server() as server,
        ouvrir(Settings(carrier=f"smtp://127.0.0.1:{server.port}")) as courrier,
    ):
        await courrier.envoyer(*LETTER)
    assert len(server.letters) == 1


async def test_the_settings_name_a_folder_which_is_made(tmp_path: Path) -> None:
    async with ouvrir(Settings(carrier=f"maildir:{tmp_path}/a/b", mail_domain="chez.example")) as courrier:
        assert await courrier.envoyer(*LETTER) == "CMD-1@chez.example"
    assert len(list((tmp_path / "a/b/new").iterdir())) == 1
    assert list((tmp_path / "a/b/tmp").iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match="SAGA_CARRIER"):
        async with ouvrir(Settings(carrier=f"maildir:{tmp_path}/file/x")):
            pass


async def test_the_dice_fail_before_the_letter_leaves(tmp_path: Path) -> None:
    courrier = CourrierCapricieux(Maildir(tmp_path, "clients.invalid"), 1, random.Random(1))
    with pytest.raises(ConnectionError):
        await courrier.envoyer(*LETTER)
    assert list((tmp_path / "new").iterdir()) == []


async def test_a_letter_that_cannot_be_written_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    courrier = Maildir(tmp_path, "clients.invalid")
    monkeypatch.setattr("os.fsync", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            await courrier.envoyer(*LETTER)
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
                    await courrier.envoyer(*LETTER)
            await courrier.envoyer(*LETTER)
    assert (len(old.letters), len(new.letters)) == (0, 1)

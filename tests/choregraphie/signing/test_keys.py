"""Keys are files that only their owner can read; several public keys of one owner count at once."""

from __future__ import annotations

import json
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from choregraphie import BadSetting, Settings
from choregraphie.signing import BadSignature, signature, signer_for, verifier_for
from choregraphie.signing.key_files import KeyFiles
from tests.support.operator_commands import command
from tests.support.signing_keys import OWNERS, order, signed, signing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(signing(tmp_path))


def make(folder: Path, *arguments: str) -> None:
    made = command("keys", "new", *arguments, **signing(folder))
    assert (made.returncode, made.stderr) == (0, "")


def refused(settings: Settings, owner: str = "stock") -> str:
    with pytest.raises(BadSetting) as caught:
        signer_for(settings, owner)
        verifier_for(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pair_of_keys_is_made_that_only_its_owner_can_read(tmp_path: Path) -> None:
    make(tmp_path, "all")
    assert sorted(path.name for path in (tmp_path / "private").iterdir()) == sorted(f"{o}.pem" for o in OWNERS)
    for path in (tmp_path / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    listed = json.loads(command("keys", "list", "--json", **signing(tmp_path)).stdout)
    assert sorted(one["owner"] for one in listed) == sorted(OWNERS)
    assert all(one["signs_here"] for one in listed)


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    make(tmp_path, "stock")
    before = (tmp_path / "private" / "stock.pem").read_bytes()
    again = command("keys", "new", "stock", **signing(tmp_path))
    assert again.returncode == 2
    assert "is there already; --next" in again.stderr
    assert (tmp_path / "private" / "stock.pem").read_bytes() == before
    assert len([*(tmp_path / "public" / "stock").iterdir()]) == 1


def test_a_next_key_takes_its_place_before_another_is_made(tmp_path: Path) -> None:
    make(tmp_path, "stock")
    make(tmp_path, "stock", "--next")
    again = command("keys", "new", "stock", "--next", **signing(tmp_path))
    private = tmp_path / "private" / "stock.pem"
    assert (again.returncode, again.stderr) == (
        2,
        f"services: {private}.next is there already; move it to {private} first\n",
    )


@pytest.mark.parametrize("is_link", [False, True])
def test_keys_that_could_not_be_made_are_made_later(tmp_path: Path, is_link: bool) -> None:
    in_the_way = tmp_path / "public" / "stock"
    in_the_way.parent.mkdir()
    if is_link:
        in_the_way.symlink_to("/proc")  # a folder in which nobody can make a file
    else:
        in_the_way.touch()
    done = command("keys", "new", "stock", **signing(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"services: {in_the_way}")
    in_the_way.unlink()
    make(tmp_path, "stock")


def test_private_keys_that_cannot_be_read_here_are_listed_as_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "stock")
    elsewhere = signing(tmp_path) | {"signing_key": f"{tmp_path}/{'a' * 300}/{{service}}.pem"}
    (listed,) = json.loads(command("keys", "list", "--json", **elsewhere).stdout)
    assert (listed["owner"], listed["signs_here"]) == ("stock", False)


def test_a_name_of_nobody_is_refused(tmp_path: Path) -> None:
    done = command("keys", "new", "stok", **signing(tmp_path))
    assert done.returncode == 2
    assert "nobody who signs is named 'stok'; there are client, " in done.stderr
    assert not (tmp_path / "private").exists()


def test_a_key_is_replaced_while_both_count(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next public key is known to a verifier that runs, before anything is signed with it."""
    monkeypatch.setattr(signature, "READ_AGAIN_SECONDS", 0.0)
    make(tmp_path, "client")
    verifier = verifier_for(settings)
    assert verifier is not None
    old = signed(order(), settings, "client")
    make(tmp_path, "client", "--next")
    (tmp_path / "private" / "client.pem.next").replace(tmp_path / "private" / "client.pem")
    new = signed(order(), settings, "client")
    assert old.headers != new.headers
    assert {verifier.check_event(one.body, one.headers) for one in (old, new)} == {"client"}
    # Taken away, the old one is refused.
    (tmp_path / "public" / "client" / f"{str(old.headers['x-saga-signature']).split()[1]}.pem").unlink()
    assert verifier.check_event(new.body, new.headers) == "client"
    with pytest.raises(BadSignature, match="no public key"):
        verifier.check_event(old.body, old.headers)


def test_keys_that_cannot_be_read_again_change_nothing(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "READ_AGAIN_SECONDS", 0.0)
    make(tmp_path, "client")
    verifier = verifier_for(settings)
    assert verifier is not None
    (tmp_path / "public" / "client" / "another.pem").write_text("half of a key")
    elsewhere = settings.model_copy(update={"signing_public": tmp_path / "no"})
    message = signed(order(), elsewhere, "client")
    assert verifier.check_event(message.body, message.headers) == "client"


def test_keys_of_openssl_can_be_used(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "public" / "client").mkdir(parents=True)
    private, public = tmp_path / "private" / "client.pem", tmp_path / "public" / "client" / "own.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    private.chmod(0o400)
    message = signed(order(), settings, "client")
    verifier = verifier_for(settings)
    assert verifier is not None
    assert verifier.check_event(message.body, message.headers) == "client"


def test_whatever_is_wrong_with_the_keys_is_said_at_the_start(tmp_path: Path, settings: Settings) -> None:
    private, public = tmp_path / "private" / "stock.pem", tmp_path / "public"
    assert refused(settings).startswith(f"SAGA_SIGNING_KEY: there is no {private}; 'keys new stock'")
    make(tmp_path, "stock")
    private.chmod(0o444)
    assert "chmod 400" in refused(settings)
    private.chmod(0o440)  # as Kubernetes mounts a secret
    assert signer_for(settings, "stock") is not None
    private.chmod(0o600)
    key = private.read_bytes()
    private.write_text("no key")
    assert "is no private key of Ed25519" in refused(settings)
    private.write_bytes(key)
    (own,) = (public / "stock").iterdir()
    own.rename(tmp_path / "own.pem")
    assert "nobody could verify what stock says" in refused(settings)
    (tmp_path / "own.pem").rename(own)
    (public / "paiement").mkdir()
    (public / "paiement" / "copy.pem").write_bytes(own.read_bytes())
    assert "is also a key of paiement" in refused(settings)
    (public / "paiement" / "copy.pem").write_text("no key")
    assert "is no public key of Ed25519" in refused(settings)
    assert "File name too long" in refused(settings.model_copy(update={"signing_public": tmp_path / ("a" * 300)}))


def test_a_worker_with_a_missing_key_does_not_start(tmp_path: Path) -> None:
    made = KeyFiles.of(Settings.model_validate(signing(tmp_path)))
    made.make("stock")
    done = command(
        "run", "paiement", database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3", **signing(tmp_path)
    )
    assert done.returncode == 2
    assert "SAGA_SIGNING_KEY: there is no" in done.stderr

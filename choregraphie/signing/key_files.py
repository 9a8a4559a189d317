"""The files of the keys: a private key for each that signs, and a folder of public keys for each.

    SAGA_SIGNING_KEY       var/keys/private/{service}.pem     PKCS#8, mode 0400
    SAGA_SIGNING_PUBLIC    var/keys/public                    OWNER/KEYID.pem, SubjectPublicKeyInfo

OpenSSL reads and writes both.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from choregraphie.errors import BadSetting, UserError
from choregraphie.paths import exists, is_folder
from choregraphie.settings import Settings

PRIVATE_MODE, PUBLIC_MODE, FOLDER_MODE = 0o400, 0o444, 0o700
# Others may not read it, and nobody but its owner may replace it. A group may read: Kubernetes mounts secrets so.
_TOO_OPEN = 0o037
_SERVICE = re.compile(r"\{service\}")
_ID_DIGITS = 16


@dataclass(frozen=True)
class KeyFiles:
    """`private_path`: with `{service}` for the owner. `folder`: that of the public keys."""

    private_path: str
    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "KeyFiles":
        return cls(settings.signing_key, settings.signing_public)

    def private_file(self, owner: str) -> Path:
        return Path(_SERVICE.sub(owner, self.private_path))

    def private(self, owner: str) -> Ed25519PrivateKey:
        """The private key of `owner`. Raises BadSetting, also when nobody could verify what it signs."""
        path = self.private_file(owner)
        key = _private(path, owner)
        if self._has_folder() and key_id(key.public_key()) not in self.public():
            raise BadSetting(
                f"SAGA_SIGNING_PUBLIC: {self.folder} has no public key of {path}, so nobody could verify what"
                f" {owner} says"
            )
        return key

    def signs_with(self, owner: str, id_: str) -> bool:
        """Whether the private key of `owner` can be read here and has that id.

        Raises BadSetting when it is no key, or when others may read it.
        """
        path = self.private_file(owner)
        return os.access(path, os.R_OK) and key_id(_private(path, owner).public_key()) == id_

    def public(self) -> dict[str, tuple[str, Ed25519PublicKey]]:
        """The owner and the public key of each key id. Raises BadSetting."""
        if not self._has_folder():
            raise BadSetting(f"SAGA_SIGNING_PUBLIC: there is no folder {self.folder}; 'keys new' makes keys")
        found: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for path in sorted(self.folder.glob("*/*.pem")):
            key = _public(path)
            owner = path.parent.name
            if found.setdefault(key_id(key), (owner, key))[0] != owner:
                raise BadSetting(f"SAGA_SIGNING_PUBLIC: {path} is also a key of {found[key_id(key)][0]}")
        return found

    def _has_folder(self) -> bool:
        try:
            return is_folder(self.folder)
        except OSError as error:  # the folder above may not be looked into, its name is too long
            raise BadSetting(f"SAGA_SIGNING_PUBLIC: {self.folder}: {error.strerror}") from None

    def make(self, owner: str, *, following: bool = False) -> tuple[Path, Path]:
        """Make a pair of keys; the files of both. `following`: beside the current private key, as `….next`.

        Raises UserError when the private key is there already, or cannot be written.
        """
        current = self.private_file(owner)
        path = current.with_name(f"{current.name}.next") if following else current
        key = Ed25519PrivateKey.generate()
        public = self.folder / owner / f"{key_id(key.public_key())}.pem"
        try:
            if exists(path):
                remedy = f"move it to {current} first" if following else "--next makes the key that follows it"
                raise UserError(f"{path} is there already; {remedy}")
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            public.parent.mkdir(parents=True, exist_ok=True)
            # The public key first: a private key without it could not be used, and would not be made again.
            _write(public, _public_pem(key.public_key()), PUBLIC_MODE)
            _write(path, _private_pem(key), PRIVATE_MODE)
        except OSError as error:
            raise UserError(f"{error.filename or path}: {error.strerror}") from None
        return path, public


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a key: the beginning of the SHA-256 of its 32 bytes."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]


def _private(path: Path, owner: str) -> Ed25519PrivateKey:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadSetting(f"SAGA_SIGNING_KEY: there is no {path}; 'keys new {owner}' makes it") from None
    except OSError as error:
        raise BadSetting(f"SAGA_SIGNING_KEY: {path}: {error.strerror}") from None
    if mode & _TOO_OPEN:
        raise BadSetting(f"SAGA_SIGNING_KEY: others may read or replace {path}; 'chmod 400 {path}'")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSetting(f"SAGA_SIGNING_KEY: {path} is no private key of Ed25519")
    return key


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise BadSetting(f"SAGA_SIGNING_PUBLIC: {path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadSetting(f"SAGA_SIGNING_PUBLIC: {path} is no public key of Ed25519")
    return key


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write(path: Path, content: bytes, mode: int) -> None:
    # The mode counts from the beginning, and a file that is there is never replaced.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())

"""A signer whose key lives in a PKCS#11 token: an HSM, or SoftHSM in tests. Needs the extra `standing[pkcs11]`.

The token signs the 32-byte digest unhashed (CKM_ECDSA on secp256k1) and returns r ‖ s. What Ethereum needs beyond that
is added here: the lower of the two equivalent s (EIP-2), and v, found by recovering the key with each value.

To make a key, use `standing-node hsm new-key` or the token's own tools (EC, secp256k1, sign only, not extractable).
"""

import threading
from typing import Any

import pkcs11
from eth_keys.datatypes import PublicKey
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_checksum_address
from pkcs11.exceptions import PKCS11Error
from pkcs11.util.ec import encode_named_curve_parameters

from standing.ledger.attestations.publication import recover
from standing.ledger.errors import Unavailable
from standing.ledger.service.settings import SettingsError, read_text_secret
from standing.node.publishing.settings import Pkcs11Settings

#: Order of the group of secp256k1 (SEC 2, 2.4.1).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_CURVE = "secp256k1"
_RETRY_AFTER_S = 5


class TokenUnavailable(Unavailable):
    """The token cannot sign at the moment."""


class Pkcs11Signer:
    """Signs with a key in a token. Thread-safe: a token's session is not, so calls take turns.

    If the token has ended the session, for example by a restart, the session is reopened once before TokenUnavailable
    is raised.
    """

    def __init__(self, settings: Pkcs11Settings) -> None:
        """Open the token. Raises: SettingsError where the token, the key or the PIN is wrong."""
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Any = None
        try:
            self._address = self._open()
        except PKCS11Error as error:
            raise SettingsError(f"signer_pkcs11: the token refuses: {type(error).__name__}") from error

    def close(self) -> None:
        """End the session with the token."""
        with self._lock:
            self._session.close()

    @property
    def address(self) -> ChecksumAddress:
        return self._address

    def sign(self, digest: bytes) -> bytes:
        """The signature r ‖ s ‖ v of 32 bytes. Raises: TokenUnavailable."""
        with self._lock:
            try:
                raw = self._sign_raw(digest)
            except PKCS11Error:
                try:
                    self._open()
                    raw = self._sign_raw(digest)
                except (PKCS11Error, SettingsError) as error:
                    # The token was there at the start: it was removed, or is still restarting.
                    why = str(error) if isinstance(error, SettingsError) else type(error).__name__
                    raise TokenUnavailable(f"the token does not sign: {why}", _RETRY_AFTER_S) from error
        r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
        s = min(s, _ORDER - s)
        for v in (27, 28):
            signature = r.to_bytes(32) + s.to_bytes(32) + bytes([v])
            if recover(digest, signature) == self._address:
                return signature
        raise TokenUnavailable("the token's signature does not match its key", _RETRY_AFTER_S)

    def _sign_raw(self, digest: bytes) -> bytes:
        return bytes(self._private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

    def _open(self) -> ChecksumAddress:
        self._session = _session(self._settings)
        try:
            return self._find_key()
        except (SettingsError, PKCS11Error):
            self._session.close()
            raise

    def _find_key(self) -> ChecksumAddress:
        key = {"label": self._settings.key_label}
        try:
            self._private = self._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, **key)
            public = self._session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, **key)
        except pkcs11.exceptions.NoSuchKey as error:
            raise SettingsError(
                f"signer_pkcs11: the token has no key pair with the label {self._settings.key_label}"
            ) from error
        return _address(public)


def new_key(settings: Pkcs11Settings) -> ChecksumAddress:
    """Make a key pair in the token that never leaves it. Returns: its address. Raises: SettingsError."""
    try:
        session = _session(settings, rw=True)
    except PKCS11Error as error:
        raise SettingsError(f"signer_pkcs11: the token refuses: {type(error).__name__}") from error
    try:
        if list(session.get_objects({pkcs11.Attribute.LABEL: settings.key_label})):
            raise SettingsError(f"the token has a key with the label {settings.key_label} already")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(_CURVE)},
            local=True,
        )
        public, _private = parameters.generate_keypair(
            store=True,
            label=settings.key_label,
            capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            private_template={pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True},
        )
        return _address(public)
    except PKCS11Error as error:
        raise SettingsError(f"the token cannot generate a {_CURVE} key: {type(error).__name__}") from error
    finally:
        session.close()


def _session(settings: Pkcs11Settings, *, rw: bool = False) -> Any:
    pin = read_text_secret(settings.pin_file, "signer_pkcs11.pin_file")
    try:
        library = pkcs11.lib(str(settings.module))
    except RuntimeError as error:
        raise SettingsError(f"signer_pkcs11.module: {settings.module} is not a PKCS#11 library") from error
    try:
        token = library.get_token(token_label=settings.token_label)
    except pkcs11.exceptions.NoSuchToken as error:
        raise SettingsError(f"signer_pkcs11: there is no token with the label {settings.token_label}") from error
    try:
        return token.open(user_pin=pin, rw=rw)
    except pkcs11.exceptions.UserAlreadyLoggedIn:
        # A login is valid for the whole process, which has another session with the token already.
        return token.open(rw=rw)


def _address(public: Any) -> ChecksumAddress:
    """The address of a public key in the token: the last 20 bytes of the hash of its point."""
    point = bytes(public[pkcs11.Attribute.EC_POINT])
    # A DER OCTET STRING around the uncompressed point, 04 ‖ x ‖ y; some tokens leave the wrapping out.
    uncompressed = point[-65:]
    if len(point) not in {65, 67} or uncompressed[0] != 0x04:
        raise SettingsError("signer_pkcs11: the key is not on secp256k1")
    return to_checksum_address(keccak(PublicKey(uncompressed[1:]).to_bytes())[-20:])

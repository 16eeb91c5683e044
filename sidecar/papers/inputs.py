"""A decision's inputs, sealed and stored with its entry, for replay and dossier (P6, P7; NIST SP 800-38D).

The data key is stored with the first of what it seals, and now and then again: whoever has an entry has the wrapped key
too, and a key that was never used is never stored. Only the recipients of ``keys.dossier_recipients`` can open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.keys.sealing import DataKeySealer, Sealed, WrappedKey
from sidecar.ledger.types import Effect

DATA_KEY: Final = "data_key"
SEALED_INPUT: Final = "sealed_input"

KEY_EVERY: Final = 500
"""Inputs after which a stored key is stored again: a database that was set back has lost it."""

MAX_WRITERS: Final = 1000
"""Writers remembered; where more were heard of, all are forgotten."""

_STORE_KEY: Final = (
    "INSERT INTO ledger_data_keys (id, created, wrapped) SELECT %(id)s, %(created)s, %(wrapped)s WHERE {guard}"
    " ON CONFLICT DO NOTHING"
)
_STORE_INPUT: Final = (
    "INSERT INTO ledger_sealed_inputs (key_id, nonce, entry_id, ciphertext)"
    " SELECT %(key_id)s, %(nonce)s, %(entry_id)s, %(ciphertext)s WHERE {guard}"
)


class SealedInputs:
    """Makes the effects that store sealed inputs; ``gateway.ports.Inputs``. Thread-safe.

    Args:
        sealer: of this process, made without ``publish``.
    """

    def __init__(self, sealer: DataKeySealer) -> None:
        self._sealer = sealer
        self._stored = ""
        self._since = 0
        self._writers: set[str] = set()

    def effects(self, entry_id: str, plaintext: bytes) -> Sequence[Effect]:
        """Effects that store the input, bound to the entry's id, and the wrapped key that opens it if need be."""
        key, sealed = self._seal(entry_id, plaintext)
        values = {
            "key_id": sealed.key_id,
            "nonce": sealed.nonce,
            "entry_id": entry_id,
            "ciphertext": sealed.ciphertext,
        }
        stored = Effect(SEALED_INPUT, _STORE_INPUT, values)
        if key.id == self._stored and self._since < KEY_EVERY:
            self._since += 1
            return (stored,)
        return (
            Effect(DATA_KEY, _STORE_KEY, {"id": key.id, "created": key.created_ms, "wrapped": key.wrapped}),
            stored,
        )

    def committed(self, effects: Sequence[Effect], writer: str) -> None:
        """Told that effects made here are durable: their key need not come along with the next.

        A writer that was not heard of before is a new connection, perhaps to a database that was set back: the key comes
        along once more, also for what was sealed before.
        """
        known = writer in self._writers
        if not known:
            self._writers = {*self._writers, writer} if len(self._writers) < MAX_WRITERS else {writer}
        if effects and effects[0].name == DATA_KEY:
            self._stored, self._since = effects[0].params["id"], 0
        elif not known:
            self._stored = ""

    def _seal(self, entry_id: str, plaintext: bytes) -> tuple[WrappedKey, Sealed]:
        """Sealed under the key that is stored with it; the key may change between asking for it and sealing."""
        while True:
            key = self._sealer.current()
            sealed = self._sealer.seal(plaintext, entry_id.encode("utf-8"))
            if sealed.key_id == key.id:
                return key, sealed

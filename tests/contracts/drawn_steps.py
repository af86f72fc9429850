"""What the random histories of `test_state_machine` are drawn from: banks, keys, flaws of publications, governance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.contracts.ledger import signer
from tests.contracts.model import GUARDIAN_ROLE, REGISTRAR_ROLE

BICS = ("BKCHCNBJ", "DEUTDEFF500", "CHASUS33")
KEYS = [signer(f"key {n}") for n in range(4)]
BINDINGS = 4


def _mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """`usual` in most draws, so that histories get somewhere; one of `others` now and then."""
    return st.sampled_from([usual] * (3 * len(others) + 3) + list(others))


LEDGERS = _mostly(0, 1)
ADMITTED_BICS = st.sampled_from(BICS[:2])  # from the start on
DRAWN_BICS = st.sampled_from([*BICS[:2] * 3, BICS[2]])
DRAWN_KEYS = st.integers(0, len(KEYS) - 1)


@dataclass(frozen=True, slots=True)
class Draw:
    """How a publication differs from the valid one; the defaults do not."""

    items: Sequence[int]
    number: int = 0
    watermark: str = "latest"
    key: int | None = None
    domain: str = "own"
    previous: bool = True


ITEMS = st.lists(st.integers(0, BINDINGS - 1), max_size=3)
_FLAWS: dict[str, dict[str, Any]] = {
    "replay": {"number": -1},
    "gap": {"number": 1},
    "last watermark": {"watermark": "last"},
    "watermark in between": {"watermark": "middle"},
    "watermark set back": {"watermark": "before last"},
    "watermark fast-forward": {"watermark": "ahead"},
    "one key": {"key": 0},
    "another key": {"key": 1},
    "other chain": {"domain": "other chain"},
    "other ledger": {"domain": "other ledger"},
    "another history": {"previous": False},
}
DRAWS = st.builds(
    lambda items, flaws: Draw(items=items, **{name: v for flaw in flaws for name, v in _FLAWS[flaw].items()}),
    ITEMS,
    st.lists(st.sampled_from(sorted(_FLAWS)), min_size=1, max_size=2),
)


GOVERNANCE = st.one_of(
    [
        st.tuples(st.just(name), st.fixed_dictionaries(drawn))
        for name, drawn in {
            "admit": {
                "bic": DRAWN_BICS,
                "key": DRAWN_KEYS,
                "role": _mostly("registrar", "guardian", "submitter"),
                "zero": _mostly(None, "bank", "signer", "admin"),
                "history": st.sampled_from(["own", "none", "number", "head"]),
            },
            "suspend": {"bic": DRAWN_BICS, "role": _mostly("guardian", "registrar", "governor")},
            "reinstate": {
                "bic": DRAWN_BICS,
                "key": DRAWN_KEYS,
                "role": _mostly("registrar", "guardian"),
                "zero": _mostly(None, 0, 1),
            },
            "rotate": {
                "bic": DRAWN_BICS,
                "key": DRAWN_KEYS,
                "who": _mostly("admin", "registrar", 4, 5, 6),
                "zero": _mostly(False, True),
            },
            "move role": {
                "function": st.sampled_from(["grantRole", "grantRole", "revokeRole"]),
                "role": st.sampled_from([REGISTRAR_ROLE, GUARDIAN_ROLE]),
                "to": st.sampled_from(["registrar", "guardian", "submitter"]),
                "by": _mostly("governor", "registrar"),
            },
        }.items()
    ]
)

"""The operators' pages list every event that the services log, and no other."""

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_PAGES = {"node": "OPERATIONS.md", "gateway": "GATEWAY-OPERATIONS.md"}
_LEVELS = {"info", "warning", "error", "critical"}
_EVENT = re.compile(r"[a-z]+(_[a-z]+)*")
#: The ends of names that are put together from the name of a schedule (`gateway/storage/schedule.py`).
_COMPOSED = ("_failed", "_ended")


def _logged(package: str) -> set[str]:
    """The events in a package's code: the first arguments of calls such as `log.info("bound", …)`."""
    found = set()
    for file in (_ROOT / package).rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _LEVELS:
                parts = [part for argument in call.args[:1] for part in ast.walk(argument)]
                texts = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
                found |= {text for text in texts if _EVENT.fullmatch(text)}
    return found


def _documented(page: str) -> set[str]:
    table = (_ROOT / "docs" / page).read_text(encoding="utf-8").split("| part | events |")[1].split("\n\n")[0]
    return set(re.findall(r"`([a-z_]+)`", table))


@pytest.mark.parametrize("package", list(_PAGES))
def test_every_event_of_a_service_is_on_its_page(package: str) -> None:
    logged = _logged(package)
    assert len(logged) > 20
    assert logged - _documented(_PAGES[package]) == set()


def test_every_event_of_shared_code_is_on_a_page_and_every_listed_event_is_logged() -> None:
    listed = {event for page in _PAGES.values() for event in _documented(page)}
    shared = _logged("ledger")
    assert shared - listed == set()
    stale = listed - shared - _logged("node") - _logged("gateway")
    assert {event for event in stale if not event.endswith(_COMPOSED)} == set()

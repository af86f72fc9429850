"""The demo's tools for its user: a file to source, with every URL and key, and a webhook receiver."""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo_day import CLAIM_FIELDS, DayWentWrong
from localnet import LocalNet
from processes import BIN, free_port

#: Holds amounts far above every payment of the day.
RISK = [
    {
        "rule": "new_binding",
        "name": "first-day",
        "currency": "CNY",
        "over_minor": 250_000,
        "within_hours": 24,
        "kinds": ["payment"],
    }
]
#: Webhooks to this machine, without TLS. Only the demo sets this, and says so; in production both stay off.
WEBHOOKS_TO_LOOPBACK = {"allow_http": True, "allow_private_addresses": True}

_COMMANDS = Path(__file__).with_name("demo_commands.sh")


def write_environment(net: LocalNet, user: Mapping[str, Any], binding: str) -> Path:
    """Write `demo.env` into the demo's folder, readable by its owner only: URLs, keys, and commands for a POSIX
    shell.

    The commands concern `binding`, which belongs to one of the day's users.
    """
    bank = net.banks[user["bank"]]
    claim = {name: user[name] for name in CLAIM_FIELDS if name in user}
    values = {
        "DEMO": str(net.folder),
        "LEDGER_URL": net.ledger_url,
        "CONTRACT": net.contract,
        "GATEWAY_URL": net.gateway_url,
        "GATEWAY_CONFIG": str(net.folder / "gateway" / "gateway.toml"),
        "PLATFORM": net.platform,
        "PLATFORM_KEY": net.gateway_key,
        "SUPPORT_KEY": net.support_key,
        "ADMIN_KEY": net.admin_key,
        "BANK": bank.bic,
        "NUMBER": user["number"],
        "CLAIM": json.dumps(claim, ensure_ascii=False)[1:-1],
        "BINDING": binding,
        "NODE_URL": bank.url,
        "CORE_KEY": bank.core_key,
        "OPERATOR_KEY": bank.operator_key,
        "REGISTRAR_KEYSTORE": str(net.folder / "registrar"),
        "REGISTRAR_PASSWORD_FILE": str(net.folder / "registrar-password"),
        "FAUCET": net.faucet,
        # For what the user starts; nothing listens there yet.
        **{f"{what}_PORT": str(free_port()) for what in ("MY_BANK", "SECOND", "THIRD")},
        "STANDING_LEDGER_URL": net.ledger_url,
        "STANDING_LEDGER_CONTRACT": net.contract,
        "STANDING_GATEWAY_KEY": net.admin_key,
    }
    for one in net.banks.values():
        values |= {f"NODE_URL_{one.bic}": one.url, f"CORE_KEY_{one.bic}": one.core_key}
        values |= {f"OPERATOR_KEY_{one.bic}": one.operator_key}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    # Renamed into place, so that a shell that waits for the file never reads a part of it.
    unfinished = net.folder / "demo.env.unfinished"
    unfinished.touch(mode=0o600)
    unfinished.write_text("\n".join([*lines, f"PATH='{BIN}':\"$PATH\"", _COMMANDS.read_text(encoding="utf-8")]))
    return unfinished.rename(net.folder / "demo.env")


class Receiver:
    """The platform's webhook endpoint: accepts correctly signed events, stores them in a file, and prints them."""

    def __init__(self, file: Path, show: Callable[[str], None]) -> None:
        self.app = Starlette(routes=[Route("/", self._take, methods=["POST"])])
        self._file = file
        self._show = show
        self._secret = ""

    def register(self, net: LocalNet, url: str) -> None:
        """Register the endpoint for every event. Raises: DayWentWrong."""
        headers = {"Authorization": f"Bearer {net.admin_key}", "Standing-Reason": "The demo shows its events"}
        answer = httpx.post(f"{net.gateway_url}/v1/webhook-endpoints", headers=headers, json={"url": url}, timeout=30)
        if not answer.is_success:
            raise DayWentWrong(f"the webhook endpoint was refused: {answer.text}")
        self._secret = answer.json()["secret"]

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        try:
            event: dict[str, Any] = Webhook(self._secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
        self._show(f"webhook  {event.get('type')}  {json.dumps(event.get('data'), ensure_ascii=False)}")
        return Response(status_code=204)

"""Files for running Besu and Standing: a compose file or systemd units, Prometheus with its rules, and a dashboard."""

import json
import re
from typing import Any

import yaml

from standing.ledger.consortium.besu import METRICS_PORT, RPC_PORT
from standing.ledger.consortium.plan import Member

_PORTS = {"node": 8100, "gateway": 8200}
_BESU_IMAGE = "hyperledger/besu:25.8.0"
_HARDENED = """NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
"""


def compose(member: Member) -> str:
    """A compose file. All of it shares the host's loopback, so that nothing listens outside but Besu's own port."""
    port = _PORTS[member.kind]
    host = {"network_mode": "host", "restart": "unless-stopped"}
    services = {
        "besu": {
            "image": _BESU_IMAGE,
            "command": ["--config-file=/etc/standing/besu.toml"],
            "volumes": ["./:/etc/standing:ro", "besu:/var/lib/besu"],
            **host,
        },
        "postgresql": {
            "image": "postgres:17",
            "command": ["-c", "listen_addresses=127.0.0.1"],
            "environment": {"POSTGRES_DB": "standing", "POSTGRES_PASSWORD_FILE": "/run/secrets/postgresql"},
            "secrets": ["postgresql"],
            "volumes": ["postgresql:/var/lib/postgresql/data"],
            "healthcheck": {"test": ["CMD", "pg_isready", "-h", "127.0.0.1"], "interval": "5s", "retries": 20},
            **host,
        },
        "standing": {
            "image": "standing:0.1.0",
            "command": [f"standing-{member.kind}", "serve", "-c", f"/etc/standing/{member.kind}/{member.kind}.toml"],
            "volumes": ["./:/etc/standing:ro"],
            "depends_on": {"postgresql": {"condition": "service_healthy"}, "besu": {"condition": "service_started"}},
            "healthcheck": {
                "test": [
                    "CMD",
                    "python",
                    "-c",
                    f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/healthz')",
                ],
                "interval": "10s",
                "retries": 6,
            },
            **host,
        },
        "prometheus": {
            "image": "prom/prometheus:v3.5.0",
            "command": ["--config.file=/etc/prometheus/prometheus.yml", "--web.listen-address=127.0.0.1:9090"],
            "volumes": ["./prometheus:/etc/prometheus:ro", "prometheus:/prometheus"],
            **host,
        },
    }
    document = {
        "name": f"standing-{member.name}",
        "services": services,
        "secrets": {"postgresql": {"file": "./postgresql-password"}},
        "volumes": {"besu": None, "postgresql": None, "prometheus": None},
    }
    return yaml.safe_dump(document, sort_keys=False, width=120)


def units(member: Member, *, prefix: str = "/opt") -> dict[str, str]:
    """systemd units by name, for a machine on which Besu and Standing are installed below `prefix`."""
    kind = member.kind
    standing = f"{prefix}/standing/bin/standing-{kind}"
    return {
        "besu.service": _unit(
            "Besu, the member's node of the ledger",
            f"ExecStart={prefix}/besu/bin/besu --config-file=/etc/standing/besu.toml",
            user="besu",
            state="besu",
            after="network-online.target",
        ),
        f"standing-{kind}.service": _unit(
            f"Standing's {kind}",
            f"ExecStart={standing} serve -c /etc/standing/{kind}/{kind}.toml\nExecReload=/bin/kill -HUP $MAINPID",
            user="standing",
            state="standing",
            after="network-online.target besu.service postgresql.service",
        ),
    }


def _unit(what: str, commands: str, *, user: str, state: str, after: str) -> str:
    return (
        f"[Unit]\nDescription={what}\nAfter={after}\nWants=network-online.target\n\n"
        f"[Service]\nType=simple\nUser={user}\n{commands}\nRestart=always\nRestartSec=2\nStateDirectory={state}\n"
        f"{_HARDENED}\n[Install]\nWantedBy=multi-user.target\n"
    )


def prometheus(member: Member) -> str:
    """Prometheus' configuration: the targets to scrape, and the rules."""
    jobs = {"standing": _PORTS[member.kind], "besu": METRICS_PORT}
    document = {
        "global": {"scrape_interval": "10s", "evaluation_interval": "10s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": name,
                "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"member": member.name}}],
            }
            for name, port in jobs.items()
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)


#: Alert, expression, how long it must hold, what to do.
_RULES: dict[str, list[tuple[str, str, str, str]]] = {
    "node": [
        ("BankNotReady", "max by (member) (standing_node_ready) < 1", "1m", "/readyz says why"),
        ("NobodyLeads", "sum by (member) (standing_node_leads) != 1", "1m", "exactly one node of a store leads"),
        (
            "FeedStopped",
            "max by (member) (standing_node_feed_stopped) > 0",
            "0m",
            "a row or file needs an operator",
        ),
        (
            "WatermarkOld",
            "min by (member) (standing_node_watermark_age_seconds) > 20",
            "0m",
            "platforms decline once this exceeds their bound; check the core first, then the ledger",
        ),
        (
            "OutboxFilling",
            "max by (member) (standing_node_outbox_depth / standing_node_outbox_capacity) > 0.5",
            "1m",
            "the core produces changes faster than the ledger accepts them",
        ),
        (
            "AccountsUnstated",
            "max by (member) (standing_node_unstated_accounts) > 0",
            "5m",
            "standing-node feed unstated",
        ),
    ],
    "gateway": [
        (
            "DecisionsRefused",
            "sum by (member) (rate(standing_gateway_decision_requests_refused_total[1m])) > 0",
            "1m",
            "more requests than this gateway can serve: add a process",
        ),
        (
            "DecisionsSlow",
            "histogram_quantile(0.99, sum by (member, le) "
            '(rate(standing_gateway_decision_seconds_bucket{stage="total"}[1m]))) > 0.25',
            "1m",
            "standing-gateway status shows the ledger's nodes and what waits",
        ),
        (
            "LedgerUnreachable",
            'sum by (member) (rate(standing_gateway_decisions_total{reason="ledger_unreachable"}[1m])) > 0',
            "30s",
            "look at this member's Besu node",
        ),
        (
            "BanksSilent",
            'sum by (member) (rate(standing_gateway_decisions_total{reason="bank_silent"}[1m])) > 0',
            "1m",
            "a bank has not spoken within the policy's bound",
        ),
    ],
}


def rules(member: Member) -> str:
    """Prometheus's alerts for a member."""
    own = [
        {
            "alert": name,
            "expr": expression,
            "for": held,
            "labels": {"severity": "page" if held in {"0m", "30s", "1m"} else "ticket"},
            "annotations": {"summary": name, "description": to_do},
        }
        for name, expression, held, to_do in _RULES[member.kind]
    ]
    down = {
        "alert": "Down",
        "expr": "up == 0",
        "for": "1m",
        "labels": {"severity": "page"},
        "annotations": {"summary": "Down", "description": "{{ $labels.job }} of {{ $labels.member }} does not answer"},
    }
    return yaml.safe_dump({"groups": [{"name": "standing", "rules": [*own, down]}]}, sort_keys=False, width=120)


def dashboard(member: Member) -> str:
    """A Grafana dashboard: a panel for each alert's figure, and the ledger's height."""
    shown = [(name, _figure(expression)) for name, expression, *_ in _RULES[member.kind]]
    shown.append(("BlockHeight", "ethereum_blockchain_height"))
    panels: list[dict[str, Any]] = [
        {
            "id": index + 1,
            "title": name,
            "type": "timeseries",
            "gridPos": {"h": 8, "w": 12, "x": 12 * (index % 2), "y": 8 * (index // 2)},
            "targets": [{"refId": "A", "expr": expression, "legendFormat": "{{member}}"}],
        }
        for index, (name, expression) in enumerate(shown)
    ]
    document = {
        "uid": f"standing-{member.kind}",
        "title": f"Standing: {member.kind}",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "panels": panels,
    }
    return json.dumps(document, indent=2) + "\n"


def _figure(expression: str) -> str:
    """The figure that an alert compares with its bound."""
    return re.split(" (?:>|<|!=) ", expression)[0]


def next_steps(member: Member) -> str:
    """The member's next steps with its folder."""
    kind = member.kind
    own = f"--bic {member.bank}" if kind == "node" else f"--platform {member.platform}"
    create = f"Create `{kind}/`"
    if kind == "node":  # the plan's `accounts` may come from a folder that exists already
        create = "If there is `node/` already, put the contract's address into `node/node.toml`. Otherwise create it,"
    return f"""# {member.name}

1. Put `node.key`, which `standing-network key` made on your machine, into this folder. It must not leave that machine.
2. Copy the folder to `/etc/standing`, hand `node.key` to the user that Besu runs as (`chown`), and start Besu:
   - systemd: install Besu in `/opt/besu` and Standing in `/opt/standing`, make the system users `besu` and `standing`
     (`useradd --system`), copy `systemd/` to `/etc/systemd/system`, `systemctl daemon-reload`, and
     `systemctl enable --now besu`.
   - compose: build the image `standing` (docs/CONSORTIUM.md), write a password into `postgresql-password`, and
     `docker compose up -d besu postgresql`.
3. The governor deploys the contract once: `standing-node ledger deploy`. Everybody gets its address. If the
   registrar is a multisig, make that first (docs/CONSORTIUM.md).
4. {create} with its database
   elsewhere, because the service can only read `/etc/standing`:

       standing-{kind} init /etc/standing/{kind} {own} --database-url URL \\
         --ledger-url http://127.0.0.1:{RPC_PORT} --contract 0x…

   Only the owner can open what `init` makes, so hand it to the user that the service runs as:
   - systemd: URL is `sqlite:////var/lib/standing/{kind}.sqlite3`. Then `install -d -o standing /var/lib/standing` and
     `chown -R standing: /etc/standing/{kind}`.
   - compose: URL is `postgresql+psycopg://postgres:PASSWORD@127.0.0.1/standing`, with the password of
     `postgresql-password`. Then `chown -R 10001: /etc/standing/{kind}`, the user of the image.
5. Check it with `doctor -c /etc/standing/{kind}/{kind}.toml`, and start it:
   - systemd: `sudo -u standing /opt/standing/bin/standing-{kind} doctor …`, then
     `systemctl enable --now standing-{kind}`.
   - compose: `docker compose run --rm standing standing-{kind} doctor …`, then `docker compose up -d`.
6. Load `dashboard.json` into Grafana, and let your alerting read `prometheus/rules.yml`.
"""

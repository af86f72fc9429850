"""A day in the life of Standing, on one machine: development chain, two invented banks, one platform.

Starts every part as a process of its own, plays the trace under examples/ through their HTTP interfaces, and shows
each decision beside the answer of last night's snapshot. A support story follows: a payment fails, the trail shows
the stalled hop, and a resync fixes it. Then everything stays up for your own requests, until Ctrl-C. With --once it
exits when done: exit code 0 only if every decision matches the trace's ground truth, and the story ends well.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo_day import EXAMPLES, PLATFORM, POLICY, Day, DayWentWrong, Decided, Tally, bank_time_zone
from demo_page import app as demo_page
from demo_playground import RISK, WEBHOOKS_TO_LOOPBACK, Receiver, write_environment
from demo_story import TRAIL, BadNetwork, SupportStory, behind_a_bad_network
from localnet import LocalBank, LocalNet
from processes import NotYet, ProcessDied
from standing.ledger.errors import StandingError
from standing.ledger.service.serve import served

console = Console()
_SHOWN = 14
#: The signals that end the demo: Ctrl-C, SIGTERM, and a closed terminal.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 128 + signal.SIGINT
_STYLE = {"approve": "green", "decline": "red", "review": "yellow"}


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def start(net: LocalNet, *, with_page: bool = False) -> None:
    """Start every process of the network, and optionally the bank for visitors of the page."""
    banks = json.loads((EXAMPLES / "banks.json").read_text(encoding="utf-8"))
    with _progress() as progress:
        task = progress.add_task("Starting processes", total=len(banks) + 2)
        net.start_ledger()
        progress.advance(task)
        for bank in banks:
            names = {"name": bank["name"], "name_zh": bank["name_zh"]}
            net.start_bank(net.add_bank(bank["bic"], **names, publisher={"heartbeat_ms": 500, "poll_ms": 20}))
            progress.advance(task)
        if with_page:
            demo_page.add_bank(net)
        net.add_gateway(time_zone=bank_time_zone(datetime.now(UTC)), policy=POLICY | {"risk": RISK})
        net.gateway_settings["trail"] = TRAIL
        net.gateway_settings["warning"] = {"busy_percent": 100}  # few bindings: no pause between them is needed
        net.gateway_settings["webhooks"] = WEBHOOKS_TO_LOOPBACK
        net.write_registrar()
        net.start_gateway()
        progress.advance(task)


def begin(day: Day) -> None:
    """Load the accounts and bind the users."""
    with _progress() as progress:
        loading = progress.add_task("Accounts from the cores", total=None)
        loaded = [day.load(bic) for bic in day.cores]
        progress.update(loading, total=sum(loaded), completed=sum(loaded))
        binding = progress.add_task("Users bind their accounts", total=len(day.users))
        for _user in day.bind_all():
            progress.advance(binding)


def play(day: Day, show: Callable[[Decided], None] | None = None) -> None:
    """Play the day, with the latest decisions on screen; `show` receives each one."""
    progress = _progress()
    task = progress.add_task("The day", total=len(day.trace))
    latest: deque[Decided] = deque(maxlen=_SHOWN)
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        for decided in day.play():
            progress.advance(task)
            if decided is not None:
                latest.append(decided)
                if show is not None:
                    show(decided)
                live.update(Group(_decisions(latest), progress))


def open_page(page: ExitStack, net: LocalNet, day: Day) -> Callable[[Decided], None]:
    """Serve the page until the demo ends, print its address, and open it. Returns: the function that receives the
    day's decisions."""
    url, stage = page.enter_context(demo_page.opened(net, sum("transaction" in event for event in day.trace)))
    console.print(f"[bold]The page:[/] {url}", soft_wrap=True, highlight=False)
    demo_page.show(url)
    return stage.show_decision


def _decisions(latest: deque[Decided]) -> Table:
    table = Table(title="Decisions, and what last night's snapshot would have answered", expand=True)
    for name in ("at", "transaction", "amount", "the bank would", "snapshot", "Standing", "reason"):
        table.add_column(name, justify="right" if name == "amount" else "left", no_wrap=True)
    for one in latest:
        event = one.event
        table.add_row(
            event["at"],
            f"{event['id']} {event['transaction']}",
            f"{event['amount_minor']:,} {event['currency']}",
            event["bank_would"],
            f"[{_STYLE[one.snapshot]}]{one.snapshot}[/]",
            f"[{_STYLE[one.standing]}]{one.standing}[/]" + ("" if one.as_expected else " [bold red]unexpected[/]"),
            one.reason or "",
        )
    return table


def summary(tally: Tally) -> Panel:
    """A summary of the day."""
    table = Table(box=None)
    for name in ("", "snapshot", "Standing"):
        table.add_column(name, justify="left" if not name else "right")
    both = ("snapshot", "standing")
    table.add_row("[bold red]wrong approvals[/]", *(str(tally.wrong(who, "approve")) for who in both))
    table.add_row("[bold red]wrong declines[/]", *(str(tally.wrong(who, "decline")) for who in both))
    for outcome in ("approve", "decline", "review"):
        table.add_row(outcome, *(str(tally.count(who, outcome)) for who in both))
    kinds = ", ".join(f"{count} × {kind}" for kind, count in tally.bound_kinds.items())
    facts = [
        f"{len(tally.decided)} decisions, {tally.changes} changes at the banks, "
        f"{tally.bindings_refused} bindings refused because details did not match",
        f"bound among others, as real books hold them: {kinds}; {tally.bound_by_deposit} by micro-deposit",
        f"feed acknowledged → decision can see it: {tally.spread(tally.feed_to_decision_ms)}",
        f"staleness of the bank at a decision: {tally.spread(tally.staleness_ms)}",
        f"decisions that differ from the ground truth: {len(tally.unexpected)}",
    ]
    note = "\nWrong: approved what the bank would refuse, or declined what it would accept. A review counts as neither."
    return Panel(Group(table, "", *facts, note), title="The day", expand=False)


def play_story(net: LocalNet, day: Day, network: BadNetwork, user: dict[str, Any]) -> None:
    """Play the support story step by step, and print it."""
    story = SupportStory(net, day.cores[user["bank"]], network, user["number"], day.bindings[user["user_id"]])
    story.play()
    console.print(Panel(Text("\n".join(story.lines)), title="Why did my payment fail?", expand=False))


def lines_to_paste(net: LocalNet, bank: LocalBank, number: str, binding: str) -> list[tuple[str, str]]:
    """Three commands for a POSIX shell, each with its title: freeze an account, try a payment, see the reason."""
    core, platform = (f"-H 'Authorization: Bearer {key}'" for key in (bank.core_key, net.gateway_key))
    json_header = "-H 'Content-Type: application/json'"
    change = f'{{"number": "{number}", "effective_at_ms": \'$AT\', "status": "frozen", "debit_allowed": false}}'
    payment = (
        f'{{"transaction_id": "\'$ID\'", "binding": "{binding}", "kind": "payment", "amount_minor": 100, '
        f'"currency": "CNY"}}'
    )
    return [
        (
            "Freeze an account at the bank, and wait until the ledger has it:",
            # Two seconds ahead of now, in whole seconds: later than the last heartbeat, with any shell's `date`.
            f"AT=$(($(date +%s) + 2))000; curl -s {bank.url}/v1/feed {core} "
            f"{json_header} -d '{{\"as_of_ms\": '$AT', \"changes\": [{change}]}}'; "
            f"for _ in $(seq 100); do curl -s {bank.url}/v1/feed/$AT {core} | grep -q '\"on_ledger\":true' && break; "
            "sleep 0.1; done",
        ),
        (
            "Try a payment from it:",
            f"ID=mine-$(date +%s); curl -s {net.gateway_url}/v1/decisions {platform} {json_header} -d '{payment}'",
        ),
        (
            "See the reason again, later:",
            f"curl -s {net.gateway_url}/v1/decisions/$ID {platform}",
        ),
    ]


def invitation(net: LocalNet, day: Day, user: dict[str, Any]) -> None:
    """The URLs, and three commands to paste."""
    console.rule("It stays up until Ctrl-C")
    console.print(f"ledger   {net.ledger_url}   contract {net.contract}", soft_wrap=True, highlight=False)
    for one in net.banks.values():
        console.print(f"bank     {one.url}/docs   {one.bic} {one.name}", soft_wrap=True, highlight=False)
        console.print(f"         {one.url}/console   sign in with {one.operator_key}", soft_wrap=True, highlight=False)
    console.print(f"gateway  {net.gateway_url}/docs", soft_wrap=True, highlight=False)
    console.print(
        f"console  {net.gateway_url}/console   sign in with {net.support_key}", soft_wrap=True, highlight=False
    )
    console.print(f"folder   {net.folder}\n", soft_wrap=True, highlight=False)
    file = write_environment(net, user, day.bindings[user["user_id"]])
    console.print(
        f"[bold]In another terminal:[/] . {file}\n"
        "then freeze, thaw, pay, why, capture, refund, review, rebind, trail, holds, events, hooks, faucet; "
        "docs/TRY-IT.md has more, and a bank of your own.\n"
        "Webhooks are printed here. Only this demo sends them to this machine and without TLS "
        "(webhooks.allow_http, webhooks.allow_private_addresses).\n",
        soft_wrap=True,
        highlight=False,
    )
    lines = lines_to_paste(net, net.banks[user["bank"]], user["number"], day.bindings[user["user_id"]])
    for title, line in lines:
        console.print(f"[bold]{title}[/]")
        # Plain print: rich would wrap the line, which is meant to be pasted whole.
        print(line + "\n")


def _user_with_an_approval(day: Day) -> str:
    """A user whose last payment was approved, so that freezing the account makes the difference."""
    last = {one.event["user_id"]: one for one in day.tally.decided if one.event["transaction"] == "payment"}
    return next(
        str(user_id) for user_id, one in last.items() if one.standing == "approve" and one.event["currency"] == "CNY"
    )


def _on_ending(what: Callable[..., None] | signal.Handlers) -> None:
    """Call `what` on every signal that ends the demo."""
    for ending in _ENDINGS:
        signal.signal(ending, what)


def _end(*_: object) -> None:
    """Start shutting down. A second Ctrl-C must not interrupt this, or processes would be left behind."""
    _on_ending(signal.SIG_IGN)
    raise KeyboardInterrupt


def run(folder: Path, once: bool) -> int:
    net = LocalNet(folder, PLATFORM)
    day = None
    page = ExitStack()
    try:
        start(net, with_page=not once)
        day = Day(net)
        begin(day)
        show = None if once else open_page(page, net, day)
        play(day, show)
        console.print(summary(day.tally))
        for one in day.tally.unexpected[:10]:
            console.print(f"[red]{one.event['id']}[/]: {one.standing} {one.reason}, expected {one.event['expect']}")
        user = day.users[_user_with_an_approval(day)]
        with behind_a_bad_network(net, net.banks[user["bank"]], day.cores[user["bank"]]) as network:
            play_story(net, day, network, user)
            if not once:
                receiver = Receiver(folder / "webhooks.jsonl", lambda line: print(line, flush=True))
                with served(receiver.app) as url:
                    receiver.register(net, url + "/")
                    invitation(net, day, user)
                    signal.pause()
        return 1 if day.tally.unexpected else 0
    except KeyboardInterrupt:
        console.print("Ending every process that was started.")
        return _INTERRUPTED if once else 0
    except (DayWentWrong, NotYet, ProcessDied, StandingError) as error:
        console.print(f"[bold red]The day went wrong:[/] {error}", soft_wrap=True)
        console.print(f"Logs were in {folder}; run with --keep to keep them.")
        return 1
    finally:
        _on_ending(signal.SIG_IGN)
        page.close()
        if day is not None:
            day.close()
        net.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="exit when done; the exit code shows whether all went well")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep settings, databases and logs in a new FOLDER")
    arguments = parser.parse_args()
    _on_ending(_end)  # even where they were ignored, as shells do for background jobs
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True)
        return run(arguments.keep, arguments.once)
    with tempfile.TemporaryDirectory(prefix="standing-demo-") as folder:
        return run(Path(folder), arguments.once)


if __name__ == "__main__":
    sys.exit(main())

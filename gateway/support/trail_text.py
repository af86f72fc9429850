"""The trail in plain language, English and Chinese, for support staff.

No text reveals who the user is, or why a bank did what it did.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.messages import REVIEWED, of_decision
from standing.gateway.decisions.rules import Outcome
from standing.gateway.support.hops import Hop, HopName, HopState
from standing.gateway.support.trail import BindingTrail, Cause
from standing.ledger.service.times import offset

HOP_NAMES: dict[HopName, Localized] = {
    HopName.EFFECTIVE: Localized("took effect at the bank", "银行侧生效"),
    HopName.ACCEPTED: Localized("reached the bank's node", "送达银行节点"),
    HopName.SIGNED: Localized("was signed by the bank", "银行签名"),
    HopName.SUBMITTED: Localized("was sent to the ledger", "提交账本"),
    HopName.IN_BLOCK: Localized("was on the ledger", "上链"),
    HopName.OBSERVED: Localized("was seen by our gateway", "我方网关同步"),
    HopName.NOTIFIED: Localized("was sent to our systems", "通知我方系统"),
    HopName.USED: Localized("was first used by a decision", "首次用于决策"),
}

#: Why a hop has not happened, and the remedy: by cause where one is known, otherwise by hop.
REMEDIES: dict[HopName | Cause, Localized] = {
    HopName.ACCEPTED: Localized(
        "The bank's core system has not handed the change to the bank's node. Ask the bank's operations desk to check "
        "the feed from the core to the node.",
        "银行核心系统尚未将变更送达银行节点。请联系银行运维检查核心系统到节点的数据上送。",
    ),
    HopName.SIGNED: Localized(
        "The bank's node holds the change but has not signed it. Ask the bank to check its node's status. Once the "
        "node works, a resync makes it publish the account's current state again.",
        "银行节点已接收变更，但尚未签名。请联系银行检查节点状态；节点恢复后发起重新同步，节点会重新发布账户的当前状态。",
    ),
    HopName.SUBMITTED: Localized(
        "The bank has signed the change but has not sent it to the ledger. Ask the bank to check its node's connection "
        "to the ledger and its sending account.",
        "银行已对变更签名，但尚未提交账本。请联系银行检查节点与账本的连接以及发送账户。",
    ),
    HopName.IN_BLOCK: Localized(
        "The change was sent but is not in a block yet. Check the ledger's health; if it is healthy, ask the bank to "
        "resync: its node then resends what is missing.",
        "变更已提交，但尚未写入账本区块。请检查账本状态；如账本正常，请银行重新同步，银行节点会补发缺失的部分。",
    ),
    HopName.OBSERVED: Localized(
        "The change is on the ledger, and decisions already use it; only notifications are delayed. Inform the "
        "gateway's operator that the follower is behind.",
        "变更已上链，决策已在使用，仅通知延迟。请联系网关运维：跟踪程序滞后。",
    ),
    HopName.NOTIFIED: Localized(
        "Decisions already use the change. Our own webhook endpoint does not accept the event: inform the team that "
        "runs it; missing events can be replayed.",
        "决策已在使用该变更，但我方 webhook 接收端未接收通知。请联系接收端的负责团队；遗漏的事件可以补发。",
    ),
    Cause.LEDGER_UNREACHABLE: Localized(
        "Our gateway cannot read the ledger now, so every payment goes to review. Inform the gateway's operator.",
        "我方网关暂时无法读取账本，所有交易转人工审核。请联系网关运维。",
    ),
    Cause.BANK_SILENT: Localized(
        "The bank has not reported for longer than our policy allows, so no transaction with its accounts is approved. "
        "Ask the bank's operations desk whether its node and its core's feed are running.",
        "该银行未更新的时间已超过我方策略上限，其账户的交易一律不通过。请联系银行运维确认节点运行和核心系统上送是否正常。",
    ),
    Cause.BANK_AHEAD: Localized(
        "The bank's last report is later than our clock by more than our policy allows, so no transaction with its "
        "accounts is approved. One of the two clocks is wrong: inform the gateway's operator, whose `doctor` compares "
        "them.",
        "该银行最近一次更新的时间比我方时钟快，且超出我方策略的允许范围，其账户的交易一律不通过。双方时钟必有一方有误："
        "请联系网关运维，用 `doctor` 命令核对。",
    ),
    Cause.BANK_SUSPENDED: Localized(
        "The bank is suspended on the ledger: its attestations are not accepted until it is reinstated. Only the bank "
        "and the ledger's registrar can resolve this.",
        "该银行在账本上已被暂停，解除暂停之前其状态证明一律无效。须由银行与账本登记方处理。",
    ),
    Cause.NODE_UNREACHABLE: Localized(
        "The bank's node does not answer, so the bank's part of the trail is unknown for now. Try again later, or ask "
        "the bank.",
        "银行节点无应答，暂时无法查询银行侧的进度。请稍后再查，或联系银行。",
    ),
    Cause.NODE_REFUSES: Localized(
        "The bank's node answers, but does not allow our gateway to query the progress of this change. Inform the "
        "gateway's operator.",
        "银行节点有应答，但不允许我方网关查询该变更的进度。请联系网关运维。",
    ),
}

_NOTHING_STALLED = Localized(
    "No hop is stalled: decisions use the bank's newest attestation.",
    "没有停滞的环节：决策使用的是银行最新的状态证明。",
)
#: Where the bank's node gives no answer: it may hold a newer change.
_NONE_KNOWN_TO_BE_STALLED = Localized(
    "No stalled hop is known: decisions use the newest attestation on the ledger.",
    "目前未发现停滞的环节：决策使用的是账本上最新的状态证明。",
)
_ON_ITS_WAY = Localized(
    "No hop is stalled: the newest change is on its way to the ledger. Decisions use it once it is there.",
    "没有停滞的环节：最近一次变更正在上链途中，上链后决策才会使用。",
)
_NOTHING_KNOWN = Localized("No changes to this account are known yet.", "该账户目前没有变更记录。")


_NODE_TROUBLES = {Cause.NODE_UNREACHABLE, Cause.NODE_REFUSES}
_BEFORE_LEDGER = {HopName.ACCEPTED, HopName.SIGNED, HopName.SUBMITTED, HopName.IN_BLOCK}


def plain(trail: BindingTrail) -> tuple[list[str], list[str]]:
    """The trail as lines of English and of Chinese. Times are in the bank's time zone."""
    pairs = [*_summary(trail), *_newest(trail)]
    return [pair.en for pair in pairs], [pair.zh for pair in pairs]


def remedy(trail: BindingTrail) -> Localized:
    """The stalled hop and its remedy, in one message. If none is stalled: whether decisions use the newest change."""
    if trail.stalled is not None:
        return REMEDIES[trail.cause or trail.stalled]
    if not trail.changes:
        return _NOTHING_KNOWN
    newest = trail.changes[0].hops
    on_its_way = any(hop.state is HopState.WAITING and hop.name in _BEFORE_LEDGER for hop in newest)
    if on_its_way:
        return _ON_ITS_WAY
    return _NONE_KNOWN_TO_BE_STALLED if _NODE_TROUBLES.intersection(trail.troubles) else _NOTHING_STALLED


def _summary(trail: BindingTrail) -> list[Localized]:
    lines = [remedy(trail)]
    lines += [REMEDIES[trouble] for trouble in trail.troubles if trouble is not trail.cause]
    decision = trail.last_decision
    if decision is not None:
        at = _time(decision.decided_at_ms, trail.bank.zone)
        outcome, how, zh_how = decision.outcome, "", ""
        message = of_decision(decision.reason, Outcome(outcome))
        if decision.reviewed is not None:
            outcome, how, zh_how = decision.reviewed, " after review", "（经人工审核）"
            message = REVIEWED[Outcome(outcome)]
        lines.append(
            Localized(
                f"Last decision, {at}: {outcome}{how}. {message.en}",
                f"最近一次交易决策（{at}）：{_OUTCOMES[outcome]}{zh_how}。{message.zh}",
            )
        )
    if trail.staleness_ms is not None:
        age = trail.staleness_ms
        lines.append(
            Localized(f"The bank last reported {_span(age)} ago.", f"银行最近一次更新在 {_span(age)} 之前。")
            if age >= 0
            else Localized(f"The bank's clock is {_span(-age)} ahead of ours.", f"银行的时钟比我方快 {_span(-age)}。")
        )
    return lines


_OUTCOMES = {"approve": "通过", "decline": "拒绝", "review": "人工审核"}


def _newest(trail: BindingTrail) -> list[Localized]:
    if not trail.changes:
        return []
    change = trail.changes[0]
    name = f"publication {change.publication}" if change.publication is not None else "not published yet"
    zh_name = f"第 {change.publication} 号发布" if change.publication is not None else "尚未发布"
    return [
        Localized(f"The newest change ({name}):", f"最近一次变更（{zh_name}）："),
        *(_hop(hop, trail.bank.zone) for hop in change.hops),
    ]


def _hop(hop: Hop, zone: ZoneInfo) -> Localized:
    name = HOP_NAMES[hop.name]
    if hop.state is HopState.DONE and hop.at_ms is not None:
        at = _time(hop.at_ms, zone)
        first = hop.name is HopName.EFFECTIVE
        late = hop.expected_ms is not None and hop.took_ms is not None and hop.took_ms > hop.expected_ms
        took, zh_took = (f", after {_span(hop.took_ms or 0)}", f"，用时 {_span(hop.took_ms or 0)}")
        note, zh_note = (" (slower than expected)", "（慢于预期）") if late else ("", "")
        return Localized(
            f"- {name.en}: {at}{'' if first else took + note}", f"- {name.zh}：{at}{'' if first else zh_took + zh_note}"
        )
    if hop.state is HopState.DONE:
        return Localized(f"- {name.en}: yes, the time is not known", f"- {name.zh}：已完成，时间未知")
    if hop.state is HopState.STALLED:
        waits, bound = _span(hop.took_ms or 0), _span(hop.expected_ms or 0)
        return Localized(
            f"- {name.en}: NOT YET, for {waits} (expected within {bound}) — this hop is stalled",
            f"- {name.zh}：尚未完成，已等待 {waits}（预期 {bound} 内）——停滞在此环节",
        )
    labels = {
        HopState.WAITING: ("not yet", "尚未完成"),
        HopState.UNKNOWN: ("unknown", "未知"),
        HopState.NOT_APPLICABLE: ("does not apply", "不适用"),
    }
    en, zh = labels[hop.state]
    return Localized(f"- {name.en}: {en}", f"- {name.zh}：{zh}")


def _time(at_ms: int, zone: ZoneInfo) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d} {offset(moment)}"


def _span(ms: int) -> str:
    """A duration, in units that are read the same in both languages."""
    if abs(ms) < 10_000:
        return f"{ms} ms"
    seconds = ms // 1000
    if abs(seconds) < 600:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if abs(minutes) < 600 else f"{minutes // 60} h {minutes % 60} min"

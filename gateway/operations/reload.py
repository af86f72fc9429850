"""The settings that a running gateway applies when it reads them again: API keys, banks, and the policy."""

from collections.abc import Callable

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.composition import Gateway
from standing.gateway.settings import GatewaySettings, read_policy
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.reloading import Reloader, ReloadResult

#: Every other setting needs a restart.
LIVE = frozenset({"api_keys", "banks", "policy", "policy_file"})


def make_reloader(gateway: Gateway, keyring: Keyring, read: Callable[[], GatewaySettings]) -> Reloader[GatewaySettings]:
    """The reloader of a gateway. `read` loads its settings."""
    keys = gateway.settings.api_keys

    def take(new: GatewaySettings) -> ReloadResult:
        """Everything is read and checked before anything is changed. Raises: SettingsError."""
        nonlocal keys
        policy, banks = read_policy(new), BankDirectory(new.banks)
        before, old = {bank.bic: bank for bank in gateway.banks}, gateway.decisions.policy
        needs_restart = gateway.banks.adopt(banks)
        changed = [f"banks.{bank.bic}" for bank in gateway.banks if before.get(bank.bic) != bank]
        if new.api_keys != keys:
            keys = new.api_keys
            keyring.replace(new.api_keys)
            # Whether keys may sign in at all is a setting that needs a restart.
            gateway.sessions.accept(new.api_keys if gateway.settings.console.key_sign_in else [])
            changed.append("api_keys")
        if policy != old:
            changed.append("policy")
        # The reader's time budget is fixed when it is made.
        if policy.ledger_read_timeout_ms != gateway.policy.ledger_read_timeout_ms:
            needs_restart.append("policy.ledger_read_timeout_ms")
        gateway.decisions.use(policy)
        gateway.reviews.use(policy)
        gateway.accounts.use(policy)
        gateway.trails.use(policy)
        gateway.reconciler.use(policy)
        gateway.warning.use(policy)
        gateway.proofs.use(policy)
        gateway.following.follower.use(policy, [bank.bic for bank in gateway.banks])
        gateway.binding_flow.bounds = policy.binding
        return ReloadResult(tuple(changed), tuple(needs_restart))

    return Reloader(gateway.settings, read, take, LIVE, gateway.clock)

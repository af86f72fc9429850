nav-state = Now
nav-rows = Rows that wait
nav-publications = Publications
nav-platforms = Platforms
nav-keys = Keys

sign-in-how = Use an API key with the role operator. It is not stored in the browser.
sign-in-refused = This key cannot be used here. Check it, and that it is an operator’s key.

role-core = Core
role-platform = Platform
role-operator = Operator

error-database-unavailable = The node’s database cannot be used at the moment

state-fit = Working
state-unfit = Needs attention
state-standby = Standing by

ago = { $span } ago
never = never
of-at-most = of at most { $bound }

core = The core
core-as-of = Its last word holds until
core-received = Received
core-changed = Last word with a change
core-changes = changes: { $changes }, attestations: { $attestations }
core-source = Read from { $source }
core-unstated = Accounts that wait to be stated
core-again = A recovered store waits for the core: it has to feed again everything from { $begins } to { $ends }.

ledger = The ledger
ledger-watermark = Platforms can rely on the core’s word until
ledger-publication = Last publication in a block
ledger-signed = signed: { $number }
ledger-waiting = Attestations in the outbox
ledger-in-flight = Publications on their way
ledger-restatements = Bindings to state again after a recovery
ledger-bindings = Active bindings
ledger-nodes = Ledger nodes
ledger-node-in-use = in use
ledger-node-failures = failures since the start: { $count }

rows = Rows that wait
rows-what = The core said something about these accounts that cannot be understood. Until it states them again, the ledger marks them as unstated.
rows-more = The { $shown } that have waited longest are shown.
rows-none = Every account is stated.
rows-new = never understood
rows-since = since { $at }, for { $span }

publications = Publications
outbox-waiting = Attestations in the outbox: { $count }. The oldest has waited for { $span }.
outbox-empty = Nothing waits in the outbox.
way-in-block = in block { $block }
way-submitted = submitted
way-signed = signed
column-number = Number
column-way = State
column-attestations = Attestations
column-watermark = Watermark
column-signed = Signed
column-submitted = Submitted
column-in-block = In a block
column-tries = Transactions

platforms = Platforms
platform-leaves = off-boarded
column-platform = Platform
column-active = Active bindings
column-ended = Ended
column-granted = Last granted
column-deposits = Open micro-deposits
column-unpaid = Of these, to pay out

deposits = Micro-deposits to pay out
deposits-what = Payments that the payout has not taken yet. They are ordered again every second.
deposits-none = Every payment was ordered.
deposit-times = asked for { $at }, expires { $ends }

keys = Keys
keys-files = Keys and secrets
keys-signer = Address of the signing key:
keys-written = written { $at }, { $span } ago
keys-age-unknown = its age is not known here
keys-api = API keys
key-signer = Signing key
key-sender = Sending key
key-bank = Bank secret
key-vault = Vault secret

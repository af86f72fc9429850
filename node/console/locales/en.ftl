nav-state = Status
nav-rows = Unstated accounts
nav-publications = Publications
nav-platforms = Platforms
nav-keys = Keys

sign-in-how = Use an API key with the role operator. It is not stored in the browser.
sign-in-refused = This key cannot be used here. Check it, and that it is an operator’s key.

role-core = Core
role-platform = Platform
role-operator = Operator

error-database-unavailable = The node’s database is not available at the moment

state-fit = Working
state-unfit = Needs attention
state-standby = Standby

ago = ({ $span } ago)
never = never
of-at-most = of at most { $bound }

core = The core
core-as-of = Data as of
core-received = Received
core-changed = Last entry with changes
core-changes = changes: { $changes }, attestations: { $attestations }
core-source = Read from { $source }
source-file = files
source-sql_view = the SQL view
core-unstated = Unstated accounts
core-again = The store was recovered: the core must feed everything from { $begins } to { $ends } again.

ledger = The ledger
ledger-watermark = Watermark on the ledger
ledger-publication = Last publication in a block
ledger-signed = signed: { $number }
ledger-waiting = Attestations in the outbox
ledger-in-flight = Publications in flight
ledger-restatements = Bindings still to be attested again after the recovery
ledger-bindings = Active bindings
ledger-nodes = Ledger nodes
ledger-node-in-use = in use
ledger-node-failures = failures since the start: { $count }

rows = Unstated accounts
rows-what = The core sent data about these accounts that the node cannot interpret. Until it sends valid data, the ledger marks those that are bound as unstated, so that their payments go to review, and none of them can be bound anew.
rows-more = Only the { $shown } that have waited longest are shown.
rows-none = No account is unstated.
rows-new = never valid so far
rows-since = since { $at }, for { $span }

publications = Publications
outbox-waiting = Attestations in the outbox: { $count }. The oldest has waited for { $span }.
outbox-empty = The outbox is empty.
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
platform-leaving = being off-boarded
platform-left = off-boarded
column-platform = Platform
column-active = Active bindings
column-ended = Ended
column-granted = Last granted
column-deposits = Open micro-deposits
column-unpaid = Of these, to pay out

deposits = Micro-deposits to pay out
deposits-what = Payment orders that the payout system has not accepted yet. They are sent again within a minute. If they stay here, the status page says why.
deposits-none = All payment orders have been sent.
deposit-times = requested { $at }, expires { $ends }

keys = Keys
keys-files = Keys and secrets
keys-signer = Address of the signing key:
keys-written = written { $at }, { $span } ago
keys-age-unknown = modification time unknown
keys-api = API keys
key-signer = Signing key
key-sender = Sending key
key-bank = Bank secret
key-vault = Vault secret

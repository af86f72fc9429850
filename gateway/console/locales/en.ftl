nav-find = Find

sign-in-how = Use your support or admin API key. It is not stored in the browser.
sign-in-refused = This key cannot be used here. Check it, and that it is a support or admin key.
signed-in = You are signed in
signed-in-go-on = Continue
openid-refused = The sign-in is not valid. Please start again.
openid-cancelled = The sign-in was cancelled.
openid-no-role = Your account has no role here. Ask your administrator for one.
openid-unavailable = The sign-in service is not responding. Please try again in a moment.
openid-misconfigured = Sign-in is not set up correctly. Please contact the gateway’s operator; the log says what to change.

role-support = Support
role-admin = Admin

error-already-lifted = The hold has already ended or been lifted
error-bank-node-unreachable = The bank’s node is not responding. Try again later.
error-bank-node-refused = The bank’s node refused the request. Contact the gateway’s operator.
error-too-many-attempts = The bank is not accepting more requests for now
error-bank-not-served = This bank is no longer served here
error-ledger-unreachable = The ledger cannot be read right now. Nothing was done; try again later.
error-storage-unavailable = The gateway’s database is not available at the moment. Try again later.

find-title = Find an account or a transaction
find-what = User, transaction, binding, or an account’s last four digits
find-button = Find
find-nothing = Nothing found
find-nothing-how = No user, transaction, binding or account of this gateway matches what you typed. Check the spelling. Of a user’s id, type at least the first four characters; so also of a recent transaction’s. An older transaction’s id and a binding’s have to be whole. Of an account’s number, type only the last four digits. Without the id of a transaction, find the user and open the account: it lists its decisions with time and amount.
find-user = User { $user }
find-user-without-accounts = This user currently has no bound account.
find-pending = awaiting micro-deposit
find-pending-how = The user enters the amount that arrived on the bank statement, until { $until }.
find-refused = Banks have refused { $count } of this user’s attempts to bind in the last { $minutes } min, mostly because name, ID document, phone or number are not as the bank has them. After { $most } refusals, further attempts are held.
find-failed = Attempts to bind that failed, last 30 days
find-begins = Ids that begin like this
find-begins-cut = There are more. Type more of the id.
failed-number = the bank has no such account
failed-name = name is not as the bank has it
failed-id_document = ID document is not as the bank has it
failed-phone = phone number is not as the bank has it
failed-holder_kind = person or organisation: not as the bank has it
failed-account = the bank does not allow this account to be bound now
failed-amount = micro-deposit: not the amount that the bank paid in, or too late
failed-no_tries_left = no tries are left: start again
failed-already_bound = bound at this platform already, by this user or another: open the number to see by whom
failed-too_many_attempts = the bank accepts no more attempts for now
failed-none = the bank gave no reason
find-ended = ended { $at }
find-digits = Accounts that end in these digits
find-transaction = Transaction

only-oldest = Only the { $shown } oldest are shown.
only-first = Only the first { $shown } are shown.
not-the-whole-list = This is not the whole list.
only-newest = Only the { $shown } newest are shown.

queue-holds = Open holds
queue-holds-none = There are no open holds.
queue-reviews = Awaiting review
queue-reviews-none = No transaction is awaiting review.
queue-reviews-later = Later ones

hold-until = until { $at }
hold-account = account
hold-lift = Lift the hold
rule-BINDING_ATTEMPTS = Too many attempts to bind

account-of = user { $user }
account-say = What to tell the user
account-reason = Reason
account-payments = Can pay
account-withdrawals = Can withdraw
account-staleness = Age of the bank’s information
account-staleness-bound = (at most { $span })
account-staleness-then = when this page was loaded
account-staleness-unknown = cannot be read right now
account-staleness-none = nothing published yet
account-status = Status at the bank
account-identity = Holder’s details since binding
account-unstated-how = For the bank’s operations desk: their core system has sent data about this account that their node cannot interpret. Their node’s console lists it under “Unstated accounts”, with the reason. This ends by itself once the core sends valid data.
account-bound = Bound
warned = Early warning
warned-chance = The model estimates that, of accounts like this one, { $percent } % have a use that fails within seven days.
warned-by-rule = A plain rule predicts that a use within seven days may fail.
warned-came-true = Came true: failed at { $at }, { $reason }.
warned-other = A use failed at { $at } for another reason: { $reason }.
warned-waiting = No use has failed since. The warning covers uses until { $until }.
warned-over = The account is no longer at risk.
account-held = Held by the risk policy

identity-name = name
identity-id_document = ID document
identity-phone = phone
identity-same = unchanged
identity-changed = changed

copy-en = Copy English
copy-zh = Copy Chinese

health-good = Good
health-limited = Limited
health-blocked = Blocked
health-ended = Ended
health-unknown = Unknown

status-active = active
status-frozen = frozen
status-lost = reported lost
status-dormant = dormant
status-closed = closed
status-unbound = unbound
status-unstated = not stated at the moment

limits = The bank’s limits

limit-transaction = One payment
limit-day = Payments today
limit-month = Payments this month
limit-year = Payments this year
limit-credit-day = Withdrawals today
limit-credit-year = Withdrawals this year
limit-left = { $left } left of { $cap }
limit-used = { $percent } % used

trail = Trail of recent changes
trail-no-bank = This bank is no longer served, so its node cannot be asked for the trail.
trail-change = Change of { $at }
trail-publication = publication { $number }
changed-changed = Changed
changed-cleared = Active again
changed-frozen = Frozen
changed-lost = Reported lost
changed-closed = Closed
changed-unbound = Unbound
changed-unstated = Unstated
changed-limits_changed = Limits changed
changed-identity_changed = Holder’s details changed
changed-unreadable = Unreadable
changed-usable = Usable

hop-waiting = not yet
hop-stalled = stalled
hop-unknown = unknown
hop-not_applicable = not applicable
hop-done = done, time unknown

act-resync = Ask the bank to publish again
act-end = End the binding, so that the user can bind again
account-bank-not-told = The bank has not been told yet that the binding ended. Until it is, the user cannot bind the account again.
act-tell-bank = Tell the bank that the binding ended
done-resync-queued = The bank’s node will publish the account’s current state again.
done-resync-on-its-way = The newest state was already on its way to the ledger. The bank’s node sends it again now.
done-ended = The binding is ended. The user can bind the account again.
done-reviewed = The review is closed.
done-hold-lifted = The hold is lifted.
done-replayed = The events will be sent again.
act-reason = Reason (kept in the audit)
act-reason-example = User called, ticket 4711

decisions = Recent decisions
decisions-all = Decisions
decisions-older = Older decisions
decisions-none-then = No decision was made on this account up to that day.
decisions-up-to = Up to the day
decisions-show = Show
decisions-none = No decision has been made on this account yet.

column-time = Time
column-transaction = Transaction
column-kind = Kind
column-amount = Amount
column-outcome = Outcome
column-reason = Reason

kind-payment = payment
kind-withdrawal = withdrawal

outcome-approve = Approved
outcome-decline = Declined
outcome-review = In review
after-review = after review

reservation-reserved = reserved
reservation-captured = captured
reservation-voided = voided
reservation-expired = expired

reason-ledger_unreachable = Ledger unreachable
reason-bank_suspended = Bank suspended
reason-no_attestation = Not confirmed by the bank yet
reason-ledger_rolled_back = Ledger rolled back
reason-attestation_unreadable = Bank’s confirmation unreadable
reason-bank_silent = Bank silent for too long
reason-unbound = Unbound
reason-account_unstated = The bank cannot state the account’s status
reason-account_closed = Account closed
reason-account_lost = Account reported lost
reason-account_frozen = Account frozen
reason-account_dormant = Account dormant
reason-debit_not_allowed = Payments not allowed
reason-credit_not_allowed = Credits not allowed
reason-name_changed = Name changed at the bank
reason-id_document_changed = ID document changed at the bank
reason-phone_changed = Phone changed at the bank
reason-currency_not_allowed = Not the account’s currency
reason-over_transaction_limit = Over the limit per payment
reason-over_daily_limit = Over the daily limit
reason-over_monthly_limit = Over the monthly limit
reason-over_yearly_limit = Over the yearly limit
reason-bank_not_served = Bank no longer served
reason-risk_hold = Held by the risk policy

decision-allowed = Allowed by this limit then
decision-publication = Publication / block
decision-iso = ISO 20022
decision-reservation = Reservation
decision-refunded = Refunded
decision-checks = The fifteen checks

check-1 = The ledger answered in time
check-2 = The bank is not suspended
check-3 = There is a readable record, not older than one seen before
check-4 = The bank’s information is fresh enough for this amount
check-5 = The account is bound, and its status is stated
check-6 = Not closed
check-7 = Not reported lost
check-8 = Not frozen for this kind of transaction
check-9 = Not dormant
check-10 = This kind of transaction is allowed
check-11 = The holder’s details have not changed since binding
check-12 = In the account’s currency
check-13 = Within the limit per payment
check-14 = Within the daily, monthly and yearly limits
check-15 = No hold by the risk policy
check-passed = passed
check-failed = failed
check-not-reached = not reached
check-unknown = unknown

evidence = Evidence
evidence-verify = Verify the evidence now
evidence-download = Download the evidence
evidence-ledger-down = The ledger cannot be read right now, so the evidence cannot be verified. Try again later.

verdict-holds = The evidence is valid.
verdict-fails = The evidence is not valid.
verdict-unknown = Some checks could not be made.

line-holds = valid
line-fails = not valid
line-unknown = unknown
line-1 = Signature
line-2 = Ledger
line-3 = Block
line-4 = Record
line-5 = Publication
line-6 = Bank’s signature
line-7 = Hash chain
line-8 = Watermark
line-9 = Grant
line-10 = Terms
line-11 = Policy
line-12 = Decision
line-13 = Cause

cause-bank_word = The decision rested on the bank’s own statement.
cause-bank_delay = The bank’s statement arrived late.
cause-bank_broke_its_watermark = The bank broke the promise of its watermark.
cause-bank_silence = The decision rested on the bank’s silence.
cause-ledger_access_delay = The gateway read an older block.
cause-guardian_word = The ledger’s guardian had suspended the bank.
cause-platform_word = The decision rested on the platform’s own rule.
cause-gateway_word = The decision rested on the gateway’s own statement.

nav-reconciliation = Reconciliation
nav-webhooks = Webhooks
nav-audit = Audit

review-open = Awaiting review
review-how = You can override the platform’s own rules, but never the bank: before a transaction is approved, the ledger is read again.
review-again = The user was told to try again. Before you approve, check on the account’s page that they have not done so since.
review-approve = Approve
review-decline = Decline
review-closed = Reviewed

error-already-reviewed = The review was already closed with the other outcome
error-not-in-review = This decision was not sent to review
error-review-not-approvable = The bank’s attestation does not allow this now

audit-what = What support and admins did, by the console or the API. Reading is not recorded.
audit-about = Only acts on
audit-all = All acts
audit-of-this = What staff did here (audit)
audit-none = No changes have been made yet.
audit-done = done
audit-unknown = outcome unknown
audit-refused = not done: { $why }
audit-malformed = the request was malformed
audit-older = Older entries

audited-post_binding = Account bound
audited-confirm_binding = Micro-deposit confirmed
audited-delete_binding = Binding ended
audited-rebind = Account bound again
audited-resync = Bank asked to publish again
audited-post_decision = Decision requested
audited-post_decisions = Decisions requested
audited-capture = Reservation captured
audited-void = Reservation voided
audited-refund = Refund recorded
audited-close_review = Review closed
audited-lift_hold = Hold lifted
audited-prove_hold = Hold lifted by the bank’s certificate
audited-change_identity = User’s details changed
audited-set_prediction = Prediction for a user changed
audited-export_evidence = Evidence exported
audited-export_evidence_with_key = Evidence exported with the binding’s key
audited-post_endpoint = Webhook endpoint added
audited-delete_endpoint = Webhook endpoint deleted
audited-rotate_secret = Webhook secret replaced
audited-enable_endpoint = Webhook endpoint enabled
audited-replay = Events sent again
audited-reload_settings = Settings read again
audited-run_scoring = Scoring started

reconciliation-none = No reconciliation has run yet.
reconciliation-well = The ledger and this gateway agree.
reconciliation-drift = { $count } bindings differ between the ledger and this gateway.
reconciliation-block-gone = The block that was read is no longer part of the ledger. Wait for the next run.
reconciliation-went-back = { $bank }: the ledger shows an older watermark than this gateway has seen before.
reconciliation-ended = Ended
reconciliation-took = Duration
reconciliation-checked = Bindings checked
reconciliation-dead = No longer usable
reconciliation-block = At block
reconciliation-differ = Differences
reconciliation-dead-list = Bindings that are no longer usable

drift-below_floor = older than a decision has already seen
drift-not_followed = not followed yet
drift-follower_missed = missed by the follower
drift-ledger_went_back = the ledger rolled back
drift-terms_differ = another attestation under the same number

webhooks-none = There are no webhook endpoints.
webhooks-off = Switched off { $at }:
webhooks-pending = Waiting
webhooks-delivered = Delivered
webhooks-given-up = Abandoned
webhooks-result = Last response
webhooks-types = Events
webhooks-all-types = all
webhooks-replay = Send again
webhooks-event = One event, by its id
webhooks-after = Or all events after this position
webhooks-last = Recent deliveries
webhooks-tries = No. { $position }, { $tries } attempts
result-timeout = no answer in time
result-address_refused = the address is not a public one
result-ClientConnectorDNSError = the host’s name cannot be resolved
result-ClientConnectorError = no connection to the host
result-ClientConnectorCertificateError = the host’s certificate is not valid
result-ClientConnectorSSLError = the host does not speak TLS
result-ServerDisconnectedError = the host ended the connection

delivery-pending = waiting
delivery-delivered = delivered
delivery-given_up = abandoned

nav-banks = Banks
nav-today = Today

bank-suspended = suspended
bank-up-to-date = up to date
bank-silent = silent
bank-chart = oldest: { $worst } · silent spans: { $spans }
bank-chart-from = { $begins } to { $ends }
bank-node = The bank’s node, since this gateway started: { $tries } requests, { $errors } without a response
bank-node-error = last at { $at }
bank-key-silent = silent
bank-key-bound = the policy’s bound
bank-key-unseen = not observed

today-title = The last 24 hours
today-decisions = Decisions
today-half = Median response time since the start
today-most = 99th percentile since the start
today-refused = Requests refused under load since the start
today-chart = Decisions by hour
today-reasons = By outcome and reason
today-none = No decisions were made.

at-most = at most { $span }

exposure = What a snapshot would have got wrong
exposure-how = Decisions that rest on a change at the bank that a snapshot would not have contained yet.
exposure-nightly = nightly
exposure-hourly = every hour
exposure-five-minutes = every five minutes
exposure-partly = There are more than this page examines; only the newest are shown.
exposure-line = changed { $changed }, decided { $decided }

period-day = Day
period-week = Week
period-month = Month
pace-steady = steady
pace-slow = slow
pace-unsteady = unsteady
scorecard-unknown = Not followed for long enough yet.
scorecard-median = Age of its information, median
scorecard-p99 = 99 % of the time
scorecard-worst = Worst
scorecard-silent = Silent in total
scorecard-ages = The worst age of each hour
scorecard-ledger = On the ledger
scorecard-publications = Publications
scorecard-heartbeats = Heartbeats among them
scorecard-attestations = Attestations
scorecard-suspensions = Suspensions
scorecard-rotations = Keys rotated
scorecard-ledger-chart = Publications with changes (green) and heartbeats (grey)
scorecard-own = From this gateway’s records
scorecard-sent-to-review = Sent to review
scorecard-made = Bindings made
scorecard-ended = Bindings ended
scorecard-failed = Bindings that stopped working
scorecard-deposits = Micro-deposits completed / requested
scorecard-seen = From a change at the bank to here, median

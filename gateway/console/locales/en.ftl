nav-find = Find

sign-in-how = Use your support or admin API key. It is not stored in the browser.
sign-in-refused = This key cannot be used here. Check it, and that it is a support or admin key.
signed-in = You are signed in
signed-in-go-on = Continue
openid-refused = The sign-in is not valid. Please start again.
openid-cancelled = The sign-in was cancelled.
openid-no-role = Your account has no role here. Ask your administrator for one.
openid-unavailable = The sign-in service does not answer. Please try again in a moment.
openid-misconfigured = Sign-in is not set up correctly. Please contact the gateway’s operator; the log says what to change.

role-support = Support
role-admin = Admin

error-already-lifted = The hold has already ended or been lifted
error-bank-node-unreachable = The bank’s node does not answer. Try again later.
error-bank-node-refused = The bank’s node refused. Tell the gateway’s operator.
error-too-many-attempts = The bank accepts no more requests for a while
error-bank-not-served = This bank is no longer served here
error-ledger-unreachable = The ledger cannot be read now
error-storage-unavailable = The gateway’s database is not available at the moment

find-title = Find an account or a transaction
find-what = User, transaction, binding, or an account’s last four digits
find-button = Find
find-nothing = Nothing is known under this
find-nothing-how = No user, transaction, binding or account matches what you typed. Check the spelling.
find-user = User { $user }
find-user-without-accounts = This user is known, but has no bound account now.
find-pending = waits for the micro-deposit
find-ended = ended { $at }
find-digits = Accounts that end in these digits
find-transaction = Transaction

queue-holds = Open holds
queue-holds-none = Nothing is held.
queue-reviews = Waiting for a review
queue-reviews-none = Nothing waits for a review.

hold-until = until { $at }
hold-account = account
hold-lift = Lift the hold

account-of = user { $user }
account-say = What to tell the user
account-reason = Reason
account-payments = Can pay
account-withdrawals = Can withdraw
account-word-age = Age of the bank’s information
account-word-bound = (at most { $span })
account-word-unknown = cannot be read now
account-status = The bank says
account-identity = Holder as bound
account-bound = Bound
warned = Warned before it failed
warned-chance = By the model, { $percent } % of accounts like this one fail at a use within seven days.
warned-by-rule = A plain rule says that a use within seven days will fail.
warned-came-true = Came true: failed at { $at }, { $reason }.
warned-other = A use failed at { $at } for another reason: { $reason }.
warned-waiting = No use has failed since. The warning is about uses until { $until }.
warned-over = The risk has gone since.
account-held = Held by the risk policy

identity-name = name
identity-id_document = ID document
identity-phone = phone
identity-same = same
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
status-unstated = cannot be stated now

limits = The bank’s limits

limit-transaction = One payment
limit-day = Payments today
limit-month = Payments this month
limit-year = Payments this year
limit-credit-day = Withdrawals today
limit-credit-year = Withdrawals this year
limit-left = { $left } left of { $cap }
limit-used = { $percent } % used

trail = Trail of the last changes
trail-no-bank = This bank is no longer served, so nobody can be asked.
trail-change = Change of { $at }
trail-publication = publication { $number }

hop-waiting = not yet
hop-stalled = stalled
hop-unknown = not known
hop-not_applicable = not applicable
hop-done = done, time not known

act-resync = Ask the bank to publish again
act-end = End the binding, so that the user can bind again
act-reason = Why? The reason is kept in the audit.
act-reason-example = Call of the user, ticket 4711

decisions = Last decisions
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

reservation-reserved = reserved
reservation-captured = captured
reservation-voided = voided
reservation-expired = expired

reason-ledger_unreachable = Ledger out of reach
reason-bank_suspended = Bank suspended
reason-no_attestation = No attestation yet
reason-ledger_rolled_back = Ledger older than before
reason-attestation_unreadable = Attestation unreadable
reason-bank_silent = Bank silent for too long
reason-unbound = Unbound
reason-account_unstated = The bank cannot state it now
reason-account_closed = Account closed
reason-account_lost = Reported lost
reason-account_frozen = Account frozen
reason-account_dormant = Account dormant
reason-debit_not_allowed = Payments not allowed
reason-credit_not_allowed = Credits not allowed
reason-name_changed = Name changed at the bank
reason-id_document_changed = ID document changed at the bank
reason-phone_changed = Phone changed at the bank
reason-currency_not_allowed = Another currency
reason-over_transaction_limit = Over the limit of one payment
reason-over_daily_limit = Over the daily limit
reason-over_monthly_limit = Over the monthly limit
reason-over_yearly_limit = Over the yearly limit
reason-risk_hold = Held by the risk policy

decision-publication = Publication / block
decision-iso = ISO 20022
decision-reservation = Reservation
decision-checks = The fifteen checks

check-1 = The ledger answered in time
check-2 = The bank is not suspended
check-3 = There is a record, not older than seen before, and it can be opened
check-4 = The bank’s information is fresh enough for this amount
check-5 = The account is bound, and its state is stated
check-6 = Not closed
check-7 = Not reported lost
check-8 = Not frozen for this kind of transaction
check-9 = Not dormant
check-10 = This kind of transaction is allowed
check-11 = The holder is the one who was bound
check-12 = The account’s currency
check-13 = Within the limit of one payment
check-14 = Within the limits of day, month and year
check-15 = No hold by the risk policy
check-passed = passed
check-failed = failed
check-not-reached = not reached
check-unknown = not known

evidence = Evidence
evidence-verify = Verify the evidence now
evidence-download = Download the evidence
evidence-ledger-down = The ledger cannot be read now, so the evidence cannot be verified. Try again later.

verdict-holds = The evidence is valid.
verdict-fails = The evidence is not valid.
verdict-unknown = Some checks could not be made.

line-holds = valid
line-fails = not valid
line-unknown = not known
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

review-open = Waiting for a review
review-how = You may overrule the platform’s own doubts, never the bank: to approve, the ledger is read again.
review-approve = Approve
review-decline = Decline
review-closed = Reviewed

error-already-reviewed = The review was already closed with the other outcome
error-not-in-review = This decision was not sent to review
error-review-not-approvable = The bank’s attestation does not allow it now

audit-none = Nobody has changed anything yet.
audit-done = done
audit-unknown = outcome not known
audit-older = Older entries

reconciliation-none = No reconciliation has run yet.
reconciliation-well = The ledger and this gateway agree.
reconciliation-drift = { $count } bindings differ between the ledger and this gateway.
reconciliation-ended = Ended
reconciliation-took = Took
reconciliation-checked = Bindings checked
reconciliation-dead = Can no longer work
reconciliation-block = At block
reconciliation-differ = Where they differ
reconciliation-dead-list = Bindings that can no longer work

drift-below_floor = older than a decision has seen
drift-not_followed = not followed yet
drift-follower_missed = missed by the follower
drift-ledger_went_back = the ledger went back
drift-words_differ = another attestation under the same number

webhooks-none = There are no endpoints.
webhooks-off = Switched off { $at }:
webhooks-pending = Waiting
webhooks-delivered = Delivered
webhooks-given-up = Abandoned
webhooks-result = Last answer
webhooks-types = Events
webhooks-all-types = all
webhooks-replay = Send again
webhooks-event = One event, by its id
webhooks-after = Or all events after this position
webhooks-last = Last deliveries
webhooks-tries = No. { $position }, { $tries } tries

delivery-pending = waiting
delivery-delivered = delivered
delivery-given_up = abandoned

nav-banks = Banks
nav-today = Today

bank-suspended = suspended
bank-speaks = up to date
bank-silent = silent
bank-chart = oldest: { $worst } · silent spans: { $spans }
bank-chart-from = { $begins } to { $ends }
bank-node = The bank’s node, since this gateway started: { $tries } tries, { $errors } without an answer
bank-node-error = last at { $at }
bank-key-silent = silent
bank-key-bound = the policy’s bound
bank-key-unseen = not observed

today-title = The last 24 hours
today-decisions = Decisions
today-half = Half of them took
today-most = 99 % of them took
today-refused = Requests refused under load
today-chart = Decisions by hour
today-reasons = By outcome and reason
today-none = Nothing was decided.

at-most = at most { $span }

exposure = What a snapshot would have got wrong
exposure-how = Decisions that rest on a change at the bank that a snapshot would not have contained yet.
exposure-nightly = nightly
exposure-hourly = every hour
exposure-five-minutes = every five minutes
exposure-partly = There are more than this page examines; these are the newest.
exposure-line = changed { $changed }, decided { $decided }

period-day = Day
period-week = Week
period-month = Month
pace-steady = steady
pace-slow = slow
pace-unsteady = unsteady
scorecard-unknown = Not followed for long enough.
scorecard-median = Age of its information, median
scorecard-p99 = 99 % of the time
scorecard-worst = Worst
scorecard-silent = Silent in total
scorecard-ages = The worst age of each hour
scorecard-told = On the ledger
scorecard-publications = Publications
scorecard-heartbeats = Heartbeats among them
scorecard-attestations = Attestations
scorecard-suspensions = Suspensions
scorecard-rotations = Keys rotated
scorecard-told-chart = Publications with changes (green) and heartbeats (grey)
scorecard-own = From this gateway’s records
scorecard-made = Bindings made
scorecard-ended = Bindings ended
scorecard-failed = Bindings that stopped working
scorecard-deposits = Micro-deposits completed / requested
scorecard-seen = From a change at the bank to here, median

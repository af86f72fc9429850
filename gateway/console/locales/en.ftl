nav-find = Find

sign-in-how = Use your support or admin API key. It is not stored in the browser.
sign-in-refused = This key cannot be used here. Check it, and that it is a support or admin key.
signed-in = You are signed in
signed-in-go-on = Go on
openid-refused = The sign-in does not hold. Please start again.
openid-cancelled = The sign-in was cancelled.
openid-no-role = Your account has no role here. Ask your administrator for one.
openid-unavailable = The sign-in service does not answer. Please try again in a moment.
openid-misconfigured = Sign-in is not set up correctly. Please tell the gateway’s operator; the log says what to change.

role-support = Support
role-admin = Admin

error-already-lifted = The hold has ended or was lifted before
error-bank-node-unreachable = The bank’s node does not answer. Try again later.
error-bank-node-refused = The bank’s node refuses. Tell the gateway’s operator.
error-too-many-attempts = The bank accepts no more requests for a while
error-bank-not-served = This bank is no longer served here
error-ledger-unreachable = The ledger cannot be read now
error-storage-unavailable = The gateway’s database cannot be used at the moment

find-title = Find an account or a transaction
find-what = User, transaction, binding, or an account’s last four digits
find-button = Find
find-nothing = Nothing is known under this
find-nothing-how = No user, transaction, binding or account here goes by what you typed. Check it letter by letter.
find-user = User { $user }
find-user-without-accounts = This user is known, and has no bound account now.
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
account-word-age = Age of the bank’s word
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
hop-not_applicable = does not apply
hop-done = done, time not known

act-resync = Ask the bank to publish again
act-end = End the binding, to bind anew
act-reason = Why? This is kept in the audit.
act-reason-example = Call of the user, ticket 4711

decisions = Last decisions
decisions-none = No decision was made on this account yet.

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
reason-no_attestation = No word of the bank yet
reason-ledger_rolled_back = Ledger older than seen before
reason-attestation_unreadable = The bank’s word cannot be opened
reason-bank_silent = Bank silent for too long
reason-unbound = Unbound
reason-account_unstated = The bank cannot say at the moment
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
check-3 = There is a record, not older than seen before, and it opens
check-4 = The bank’s word is fresh enough for this amount
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
check-15 = The risk policy does not hold it
check-passed = passed
check-failed = failed
check-not-reached = not reached
check-unknown = not known

evidence = Evidence
evidence-verify = Verify the evidence now
evidence-download = Download the evidence
evidence-ledger-down = The ledger cannot be read now, so the evidence cannot be verified. Try again later.

verdict-holds = The evidence holds.
verdict-fails = The evidence does not hold.
verdict-unknown = Not every check could be made.

line-holds = holds
line-fails = fails
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

cause-bank_word = It rested on the bank’s own word.
cause-bank_delay = The bank’s word came late.
cause-bank_broke_its_watermark = The bank broke the promise of its watermark.
cause-bank_silence = It rested on the bank’s silence.
cause-ledger_access_delay = The gateway read an older block.
cause-guardian_word = The ledger’s guardian had suspended the bank.
cause-platform_word = It rested on the platform’s own rule.
cause-gateway_word = It rested on the gateway’s own word.

nav-reconciliation = Reconciliation
nav-webhooks = Webhooks
nav-audit = Audit

review-open = Waits for a review
review-how = You may overrule the platform’s own doubts, never the bank’s word: to approve, the ledger is read again.
review-approve = Approve
review-decline = Decline
review-closed = Reviewed

error-already-reviewed = The review was closed before, with the other outcome
error-not-in-review = This decision was not sent to review
error-review-not-approvable = The bank’s word does not allow it now

audit-none = Nobody has changed anything yet.
audit-done = done
audit-unknown = not known how it ended
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
drift-words_differ = another word under the same number

webhooks-none = There is no endpoint.
webhooks-off = Switched off { $at }:
webhooks-pending = Waiting
webhooks-delivered = Delivered
webhooks-given-up = Given up
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
delivery-given_up = given up

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
today-chart = Decisions by the hour
today-reasons = By outcome and reason
today-none = Nothing was decided.

at-most = at most { $span }

exposure = What a snapshot would have got wrong
exposure-how = Decisions that rest on a change at the bank which a snapshot of the account would not have had yet.
exposure-nightly = nightly
exposure-hourly = every hour
exposure-five-minutes = every five minutes
exposure-partly = There is more than this page looks at: these are the newest.
exposure-line = changed { $changed }, decided { $decided }

period-day = Day
period-week = Week
period-month = Month
pace-steady = steady
pace-slow = slow
pace-unsteady = unsteady
scorecard-unknown = Followed for too short a time to say.
scorecard-median = Age of its word, median
scorecard-p99 = 99 % of the time
scorecard-worst = Worst
scorecard-silent = Silent in all
scorecard-ages = The worst age of each hour
scorecard-told = On the ledger
scorecard-publications = Publications
scorecard-heartbeats = Heartbeats among them
scorecard-attestations = Attestations
scorecard-suspensions = Suspensions
scorecard-rotations = Keys rotated
scorecard-told-chart = Publications with changes (green) and heartbeats (grey)
scorecard-own = By this gateway’s records
scorecard-made = Bindings made
scorecard-ended = Bindings ended
scorecard-failed = Bindings that stopped working
scorecard-deposits = Micro-deposits done / asked for
scorecard-seen = From a change at the bank to here, median

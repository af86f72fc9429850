# Short commands for the demo, sourced at the end of demo.env. POSIX shell, with curl, grep and sed.

_json='Content-Type: application/json'

# _gateway METHOD PATH KEY [curl's options]
_gateway() {
  _method=$1 _path=$2 _key=$3
  shift 3
  curl -sS -X "$_method" "$GATEWAY_URL$_path" -H "Authorization: Bearer $_key" -H "$_json" "$@"
  echo
}

_ledger() {
  curl -sS "$LEDGER_URL" -H "$_json" -d "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"$1\", \"params\": [$2]}"
}

# A name that nothing has yet: `_fresh WORD`
_fresh() { echo "$1-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"; }

# Show a grant, and let everything from here on be about its binding, once it can be paid with.
_use() {
  echo "$1"
  BINDING=$(echo "$1" | sed -E 's/.*"binding":"(0x[0-9a-f]{64})".*/\1/')
  case $BINDING in 0x*) export BINDING ;; *) return 1 ;; esac
  for _ in $(seq 300); do
    _gateway GET "/v1/bindings/$BINDING" "$PLATFORM_KEY" | grep -q '"usable_since_ms":[0-9]' && return 0
    sleep 0.1
  done
  echo "not usable after 30 s" >&2
  return 1
}

# Wait until a service answers: `up URL`
up() {
  for _ in $(seq 300); do
    curl -fsS "$1/healthz" > /dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "$1 does not answer after 30 s" >&2
  return 1
}

# A bank's core states changes of "now", or with none that nothing has changed; returns once the ledger has it:
# `tell NODE_URL CORE_KEY [CHANGES]`
tell() {
  _receipt=$(curl -sS "$1/v1/feed" -H "Authorization: Bearer $2" -H "$_json" -d "{\"as_of_ms\": \"now\", \"changes\": [${3:-}]}")
  echo "$_receipt"
  _at=$(echo "$_receipt" | sed -E 's/.*"as_of_ms":([0-9]+).*/\1/')
  for _ in $(seq 300); do
    curl -sS "$1/v1/feed/$_at" -H "Authorization: Bearer $2" | grep -q '"on_ledger":true' && return 0
    sleep 0.1
  done
  echo "not on the ledger after 30 s" >&2
  return 1
}

# The bank: `state FIELDS` of the account that everything is about, in JSON
state() { tell "$NODE_URL" "$CORE_KEY" "{\"number\": \"$NUMBER\", \"effective_at_ms\": \"now\", $1}"; }
freeze() { state '"status": "frozen", "debit_allowed": false, "credit_allowed": false'; }
thaw() { state '"status": "active", "debit_allowed": true, "credit_allowed": true'; }

# The platform. `bind BANK USER CLAIM`; `pay [AMOUNT]` in minor units; `refund AMOUNT [ID]`. Where a transaction's id may
# be named, it is else the last payment's.
bind() {
  _asked="\"bank\": \"$1\", \"user_id\": \"$2\", \"request_id\": \"$(_fresh bind)\""
  _use "$(_gateway POST /v1/bindings "$PLATFORM_KEY" -d "{$_asked, $3}")"
}
pay() {
  _id=$(_fresh mine)
  echo "$_id" > "$DEMO/last-payment" # a file: `pay | …` runs in a shell of its own
  _asked="\"transaction_id\": \"$_id\", \"binding\": \"$BINDING\", \"kind\": \"payment\""
  _gateway POST /v1/decisions "$PLATFORM_KEY" -d "{$_asked, \"amount_minor\": ${1:-100}, \"currency\": \"CNY\"}"
}
last() { cat "$DEMO/last-payment"; }
why() { _gateway GET "/v1/decisions/${1:-$(last)}" "$PLATFORM_KEY"; }
capture() { _gateway POST "/v1/decisions/${1:-$(last)}/capture" "$PLATFORM_KEY"; }
void() { _gateway POST "/v1/decisions/${1:-$(last)}/void" "$PLATFORM_KEY"; }
refund() {
  _gateway POST "/v1/decisions/${2:-$(last)}/refunds" "$PLATFORM_KEY" \
    -d "{\"refund_id\": \"$(_fresh refund)\", \"amount_minor\": $1}"
}
decisions() { _gateway GET "/v1/decisions?binding=$BINDING" "$PLATFORM_KEY"; }
events() { _gateway GET "/v1/events?binding=$BINDING" "$PLATFORM_KEY"; }
# All events from the first on, and those that come within some seconds: `stream [SECONDS]`
stream() {
  curl -sSN --max-time "${1:-2}" "$GATEWAY_URL/v1/events/stream?after=0" -H "Authorization: Bearer $PLATFORM_KEY" \
    2> /dev/null || [ $? -eq 28 ] # the time is over
}
hooks() { cat "$DEMO/webhooks.jsonl"; }

# Its support. `lift HOLD WHY`, `review approve|decline WHY`, `rebind PHONE WHY`
trail() { _gateway GET "/v1/bindings/$BINDING/trail" "$SUPPORT_KEY"; }
holds() { _gateway GET "/v1/holds?binding=$BINDING" "$SUPPORT_KEY"; }
lift() { _gateway POST "/v1/holds/$1/lift" "$SUPPORT_KEY" -d "{\"reason\": \"$2\"}"; }
reviews() { _gateway GET /v1/reviews "$SUPPORT_KEY"; }
review() { _gateway POST "/v1/decisions/$(last)/review" "$SUPPORT_KEY" -d "{\"outcome\": \"$1\", \"reason\": \"$2\"}"; }
rebind() {
  _claim=$(echo "$CLAIM" | sed -E "s/\"phone\": \"[^\"]*\"/\"phone\": \"$1\"/")
  _use "$(_gateway POST "/v1/bindings/$BINDING/rebind" "$SUPPORT_KEY" \
    -d "{\"reason\": \"$2\", \"request_id\": \"$(_fresh rebind)\", $_claim}")"
}

# The ledger: `header BLOCK` (hexadecimal), `balance ADDRESS`, one coin by `faucet ADDRESS`, and `address KEYSTORE`
header() { _ledger eth_getBlockByNumber "\"$1\", false"; }
balance() { _ledger eth_getBalance "\"$1\", \"latest\""; echo; }
faucet() {
  _ledger eth_sendTransaction "{\"from\": \"$FAUCET\", \"to\": \"$1\", \"value\": \"0xde0b6b3a7640000\", \"gas\": \"0x5208\"}"
  echo
}
address() { sed -E 's/.*"address": *"(0x)?([0-9a-fA-F]{40})".*/0x\2/' "$1"; }

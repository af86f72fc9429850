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

# The bank's core states a change of "now"; returns once the ledger has it.
_state() {
  _change="{\"number\": \"$NUMBER\", \"effective_at_ms\": \"now\", $1}"
  _receipt=$(curl -sS "$NODE_URL/v1/feed" -H "Authorization: Bearer $CORE_KEY" -H "$_json" \
    -d "{\"as_of_ms\": \"now\", \"changes\": [$_change]}")
  echo "$_receipt"
  _at=$(echo "$_receipt" | sed -E 's/.*"as_of_ms":([0-9]+).*/\1/')
  for _ in $(seq 300); do
    curl -sS "$NODE_URL/v1/feed/$_at" -H "Authorization: Bearer $CORE_KEY" | grep -q '"on_ledger":true' && return 0
    sleep 0.1
  done
  echo "not on the ledger after 30 s" >&2
  return 1
}

# The bank
freeze() { _state '"status": "frozen", "debit_allowed": false, "credit_allowed": false'; }
thaw() { _state '"status": "active", "debit_allowed": true, "credit_allowed": true'; }

# The platform. `pay [AMOUNT]` in minor units; the others take a transaction's id, or the last payment's.
pay() {
  _id=mine-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
  echo "$_id" > "$DEMO/last-payment" # a file: `pay | …` runs in a shell of its own
  _asked="\"transaction_id\": \"$_id\", \"binding\": \"$BINDING\", \"kind\": \"payment\""
  _gateway POST /v1/decisions "$PLATFORM_KEY" -d "{$_asked, \"amount_minor\": ${1:-100}, \"currency\": \"CNY\"}"
}
last() { cat "$DEMO/last-payment"; }
why() { _gateway GET "/v1/decisions/${1:-$(last)}" "$PLATFORM_KEY"; }
capture() { _gateway POST "/v1/decisions/${1:-$(last)}/capture" "$PLATFORM_KEY"; }
events() { _gateway GET /v1/events "$PLATFORM_KEY"; }
hooks() { cat "$DEMO/webhooks.jsonl"; }

# Its support
trail() { _gateway GET "/v1/bindings/$BINDING/trail" "$SUPPORT_KEY"; }
holds() { _gateway GET "/v1/holds?binding=$BINDING" "$SUPPORT_KEY"; }

# The ledger: `header BLOCK` (hexadecimal), `balance ADDRESS`, and one coin for `faucet ADDRESS`
header() { _ledger eth_getBlockByNumber "\"$1\", false"; }
balance() { _ledger eth_getBalance "\"$1\", \"latest\""; echo; }
faucet() {
  _ledger eth_sendTransaction "{\"from\": \"$FAUCET\", \"to\": \"$1\", \"value\": \"0xde0b6b3a7640000\", \"gas\": \"0x5208\"}"
  echo
}

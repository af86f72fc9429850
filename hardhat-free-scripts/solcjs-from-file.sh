#!/bin/sh
# Lets py-solc-x drive the npm package `solc` as its `solc_binary`. Node treats pipes as non-blocking, so solcjs may find
# its input empty (EAGAIN) and may exit before all of its output is through: both go by files instead. And solcjs prints
# a line starting with `>>>` before its JSON, which is dropped. SOLCJS names the solcjs command.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/in"
status=0
"$SOLCJS" "$@" < "$folder/in" > "$folder/out" || status=$?
sed '1{/^>>>/d;}' "$folder/out"
exit "$status"

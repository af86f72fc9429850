"""The tests. What has to be settled before any library is imported is settled here."""

import os

# The development chain hashes a lot, and pysha3's Keccak takes an eighth of the time of eth-hash's usual choice, which
# is made at the first hash: web3 and py-evm hash while they are imported.
os.environ["ETH_HASH_BACKEND"] = "pysha3"

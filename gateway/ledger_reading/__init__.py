"""Reading the ledger at transaction time: coalesced calls over several ledger nodes. `reader.Reader` is what others
use."""

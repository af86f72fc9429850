"""Verification of evidence: whether a decision was right, checked without the gateway, one line for each check.

| # | check | holds where |
| --- | --- | --- |
| 1 | signature | the gateway's key signed exactly these claims; a decision that holds them says the same |
| 2 | ledger | the queried ledger is the one that the claims name: contract and chain id |
| 3 | block | that ledger has the block, with that hash, not from after the decision |
| 4 | record | the state of that block holds exactly the record that the claims state |
| 5 | publication | a `Published` event and its transaction's input hold the record, under the number it names |
| 6 | bank signature | the publication is signed by the signer in force then |
| 7 | hash chain | the publication continues the previous one, and the next one continues it |
| 8 | watermark | the bank's newest publication up to that block states the watermark, signed by the signer in force |
| 9 | grant | (where one is given) the bank signed that this binding has this key |
| 10 | terms | the record opens with the binding key, or does not, as the decision says |
| 11 | policy | (where one is given) the policy has the version named, and agrees with the claims |
| 12 | decision | the pure decision, made again from the claims, gives the same result |
| 13 | cause | names whose statement, delay or silence was decisive (`gateway.evidence.verification.causes`) |

A check that cannot be made is `unknown` and never skipped: the node has pruned the block's state, or the binding
key is missing where the terms matter. Evidence as a whole holds only where every check does.

Facts that nothing on the ledger can confirm are reported as the gateway's own statement: usage, floor, an end on its
side, a hold.
"""

"""From a queued change to a block: outbox, herds, publisher, submission and keys.

Other packages queue changes through `outbox`, load signing keys through `keys`, and read `trail`. `node.composition`
builds the publisher.
"""

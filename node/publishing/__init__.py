"""From a queued change to a block: outbox, publisher, submission, keys. Other subpackages use `outbox` and `keys`."""

"""From a queued change to a block: outbox, publisher, submission, keys. Other rooms use `outbox` and `keys`."""

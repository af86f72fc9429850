"""The day of bank two, which falls silent in the afternoon."""

from generator.stories import ORDINARY_DAY, Background, Story

STORIES = (
    # Frozen while the bank is silent: the core knows, the ledger does not.
    Story(
        (
            "08:30-13:50 4 ordinary",
            "14:20:15 frozen late",
            "14:26:40 payment -> bank_silent",
            "14:44:09 withdrawal -> bank_silent",
            "15:03:12 payment -> account_frozen",
            "17:22:01 payment -> account_frozen",
        )
    ),
    # Unfrozen while the bank is silent: the user has to wait for the bank's attestation, though the bank would pay.
    Story(
        (
            "10:00:37 payment -> account_frozen",
            "14:31:00 unfrozen late",
            "14:36:29 payment -> bank_silent",
            "15:04:02 payment",
            "15:30-21:00 4 ordinary",
        ),
        status="frozen",
    ),
    # Silence comes before every other reason, the account's own and the limits' alike.
    Story(
        (
            "09:20:05 payment limit+1 -> over_transaction_limit",
            "09:21:40 payment limit",
            "14:18:55 payment limit+1 -> bank_silent",
            "14:28:30 payment in=CNY -> bank_silent",
            "14:52:21 payment limit -> bank_silent",
            "15:05:10 payment limit",
            "16:00:30 withdrawal in=CNY -> currency_not_allowed",
        ),
        currency="USD",
        limits=(60_000, 150_000),
        holder="foreign",
    ),
    Story(
        (
            "08:15-09:30 2 ordinary",
            "09:51:10 frozen",
            "09:51:48 payment -> account_frozen",
            "14:33:33 payment -> bank_silent",
            "16:20:30 unfrozen",
            "16:21:02 payment",
            "16:30-21:30 4 ordinary",
        )
    ),
    Story(
        (
            "08:20-10:40 3 ordinary",
            "11:02:28 lost",
            "11:03:00 payment -> account_lost",
            "14:40:40 payment -> bank_silent",
            "15:40:07 withdrawal -> account_lost",
        )
    ),
    Story(
        (
            "08:40-16:40 5 ordinary",
            "17:15:45 closed",
            "17:16:20 payment -> account_closed",
            "18:00:16 withdrawal -> account_closed",
        )
    ),
    Story(
        (
            "08:05:10 withdrawal",
            "08:30:30 dormant",
            "08:31:01 payment -> account_dormant",
            "16:44:44 withdrawal -> account_dormant",
        )
    ),
    Story(
        (
            "08:50-12:30 3 ordinary",
            "12:45:20 debit_forbidden",
            "12:45:59 payment -> debit_not_allowed",
            "13:10:10 withdrawal",
            "20:10:10 payment -> debit_not_allowed",
        )
    ),
    Story(
        (
            "09:05-15:50 3 ordinary",
            "16:01:01 credit_forbidden",
            "16:01:40 withdrawal -> credit_not_allowed",
            "16:08:08 payment",
            "20:05:30 withdrawal -> credit_not_allowed",
        )
    ),
    Story(
        (
            "08:30-17:20 5 ordinary",
            "17:40:40 name_changed",
            "17:41:17 payment -> name_changed",
            "18:18:18 withdrawal -> name_changed",
        ),
        holder="foreign",
        second_account=True,
    ),
    Story(
        (
            "08:10-09:15 2 ordinary",
            "09:36:09 id_document_changed",
            "09:36:50 withdrawal -> id_document_changed",
            "14:47:00 payment -> bank_silent",
            "20:01:25 payment -> id_document_changed",
        ),
        holder="foreign",
    ),
    Story(
        (
            "08:25-11:20 3 ordinary",
            "11:55:05 phone_changed",
            "11:55:42 payment -> phone_changed",
            "16:16:16 withdrawal -> phone_changed",
        )
    ),
    Story(
        (
            "08:35-12:30 4 ordinary",
            "12:50:10 unbound",
            "12:50:50 payment -> unbound",
            "14:38:20 payment -> bank_silent",
            "19:00:50 payment -> unbound",
        )
    ),
    # Lowered to less than one ordinary purchase, and raised after a call to the bank.
    Story(
        (
            "08:42:31 payment 180000",
            "10:20:20 limit_lowered transaction=5000 daily=200000",
            "10:20:55 payment 180000 -> over_transaction_limit",
            "10:24:00 payment limit",
            "10:25:40 payment limit+1 -> over_transaction_limit",
            "13:32:10 limit_raised transaction=200000 daily=500000",
            "13:32:47 payment 180000",
            "18:50:13 payment rest+1 -> over_daily_limit",
            "18:51:00 payment rest",
        ),
        limits=(500_000, 2_000_000),
    ),
    # A low limit that the holder has raised: a snapshot would keep declining.
    Story(
        (
            "08:52:07 payment 30000 -> over_transaction_limit",
            "11:33:00 limit_raised transaction=100000 daily=300000",
            "11:33:38 payment 30000",
            "13:25:11 payment limit",
            "18:02:49 payment rest+1 -> over_transaction_limit",
            "18:04:04 payment 100000",
            "19:45:37 payment rest+1 -> over_daily_limit",
            "19:46:15 payment rest",
        ),
        limits=(10_000, 20_000),
    ),
    Story(
        (
            "08:18-10:00 2 ordinary",
            "10:31:31 frozen debit_only",
            "10:32:05 payment -> account_frozen",
            "10:40:50 withdrawal",
            "18:28:28 withdrawal",
        )
    ),
    # The daily limit of an account in Hong Kong dollars, reached exactly.
    Story(
        (
            "09:03:50 payment 70000",
            "10:06:06 payment in=CNY -> currency_not_allowed",
            "13:50:50 payment 70000",
            "16:36:30 payment 60001 -> over_daily_limit",
            "16:37:07 payment rest",
            "16:39:53 payment 1 -> over_daily_limit",
        ),
        currency="HKD",
        limits=(100_000, 200_000),
    ),
    Story(
        (
            "08:48-20:00 6 ordinary",
            "20:30:00 dormant",
            "20:30:41 withdrawal -> account_dormant",
        )
    ),
)

THROUGH_SILENCE = Story((*ORDINARY_DAY.steps, "14:15-15:00 1 ordinary"))
"""Nothing is wrong with these accounts, but for a while no platform can know it."""

PLAIN = (
    *(THROUGH_SILENCE,) * 4,
    Story(THROUGH_SILENCE.steps, holder="dotted"),
    Story(THROUGH_SILENCE.steps, currency="HKD"),
)

BACKGROUND = (
    Background("09:09:45 lost"),
    Background("12:08:30 frozen", accounts=2),
    Background("17:05:05 name_changed"),
    Background("19:19:00 id_document_changed"),
)

"""The day of bank one: no silence, every kind of change."""

from generator.accounts import NO_LIMIT
from generator.stories import ORDINARY_DAY, Background, Story

STORIES = (
    # Frozen and unfrozen: a snapshot is wrong at first and right again later, by luck.
    Story(
        (
            "08:10-09:30 3 ordinary",
            "09:42:10 frozen",
            "09:42:35 payment -> account_frozen",
            "09:58:04 withdrawal -> account_frozen",
            "13:05:12 unfrozen",
            "13:05:41 payment",
            "13:20-21:00 4 ordinary",
        )
    ),
    # Frozen when the day begins: here a snapshot of the day's start keeps declining.
    Story(
        (
            "08:31:20 payment -> account_frozen",
            "10:15:02 unfrozen",
            "10:15:32 payment",
            "10:20:11 withdrawal",
            "10:30-21:30 6 ordinary",
        ),
        status="frozen",
    ),
    # Frozen for debits only: money may still come in.
    Story(
        (
            "08:05-10:50 3 ordinary",
            "11:20:05 frozen debit_only",
            "11:20:44 payment -> account_frozen",
            "11:31:07 withdrawal",
            "15:12:50 withdrawal",
            "16:40:00 unfrozen",
            "16:40:38 payment",
            "17:00-21:00 3 ordinary",
        )
    ),
    # Frozen twice.
    Story(
        (
            "08:20:00 payment",
            "08:50:09 frozen",
            "08:50:31 payment -> account_frozen",
            "09:20:46 unfrozen",
            "09:21:15 payment",
            "09:30-16:30 5 ordinary",
            "17:00:03 frozen",
            "17:00:29 withdrawal -> account_frozen",
            "20:14:18 payment -> account_frozen",
        )
    ),
    # Reported lost; a thief tries a payment within half a minute.
    Story(
        (
            "08:30-12:00 4 ordinary",
            "12:22:40 lost",
            "12:23:05 payment -> account_lost",
            "12:24:51 payment -> account_lost",
            "19:02:33 withdrawal -> account_lost",
        )
    ),
    Story(
        (
            "09:00-17:30 5 ordinary",
            "18:45:27 lost",
            "18:46:02 payment -> account_lost",
        )
    ),
    # Closed at the counter.
    Story(
        (
            "08:15-09:45 2 ordinary",
            "10:02:15 closed",
            "10:03:01 payment -> account_closed",
            "12:41:10 withdrawal -> account_closed",
        )
    ),
    Story(
        (
            "09:10-15:20 4 ordinary",
            "15:48:58 closed",
            "15:49:25 withdrawal -> account_closed",
        )
    ),
    Story(
        (
            "08:40:00 withdrawal",
            "09:00:13 dormant",
            "09:00:47 withdrawal -> account_dormant",
            "11:11:30 payment -> account_dormant",
        )
    ),
    # Transaction limit lowered, then raised: exactly the limit passes, one minor unit more does not.
    Story(
        (
            "08:55:40 payment limit",
            "08:58:22 payment limit+1 -> over_transaction_limit",
            "12:00:00 limit_lowered transaction=20000",
            "12:00:26 payment limit",
            "12:01:09 payment limit+1 -> over_transaction_limit",
            "12:03:55 payment 100000 -> over_transaction_limit",
            "17:00:40 limit_raised transaction=150000",
            "17:01:11 payment limit",
            "17:04:45 payment limit+1 -> over_transaction_limit",
        ),
        limits=(100_000, 300_000),
    ),
    # The day's payments reach the daily limit exactly; raised, they reach it exactly again.
    Story(
        (
            "09:11:17 payment 40000",
            "10:37:48 payment 35000",
            "10:59:02 payment rest+1 -> over_daily_limit",
            "11:00:10 payment rest",
            "11:02:36 payment 1 -> over_daily_limit",
            "11:05:00 withdrawal",
            "14:00:31 limit_raised daily=150000",
            "14:01:02 payment rest",
            "14:03:20 payment 1 -> over_daily_limit",
        ),
        limits=(NO_LIMIT, 100_000),
    ),
    # A void gives the amount back at once, a capture does not.
    Story(
        (
            "10:10:10 payment rest void",
            "10:12:45 payment rest+1 -> over_daily_limit",
            "10:13:30 payment rest void",
            "10:15:09 payment rest",
            "10:16:52 payment 100 -> over_daily_limit",
        ),
        limits=(NO_LIMIT, 80_000),
    ),
    # The daily limit is lowered below what the day has already used.
    Story(
        (
            "08:25:18 payment 90000",
            "09:47:30 payment 45000",
            "13:30:00 limit_lowered daily=120000",
            "13:30:33 payment 1 -> over_daily_limit",
            "13:40:12 withdrawal",
            "18:10:05 limit_raised daily=135001",
            "18:10:49 payment rest+1 -> over_daily_limit",
            "18:11:20 payment rest",
            "18:12:58 payment 1 -> over_daily_limit",
        ),
        limits=(NO_LIMIT, 200_000),
    ),
    # A payment above the day's rest does not block a smaller one that fits.
    Story(
        (
            "08:44:21 payment 45000",
            "12:12:12 payment 20000 -> over_daily_limit",
            "12:14:03 payment 10000",
            "18:33:33 payment 6000 -> over_daily_limit",
            "18:34:10 payment 5000",
            "21:05:54 payment 1 -> over_daily_limit",
        ),
        limits=(50_000, 60_000),
    ),
    # A changed name applies to both of the holder's accounts.
    Story(
        (
            "08:30-10:30 3 ordinary",
            "11:41:36 name_changed",
            "11:42:08 payment -> name_changed",
            "13:16:23 withdrawal -> name_changed",
        ),
        second_account=True,
    ),
    # A passport is renewed.
    Story(
        (
            "08:45-14:00 4 ordinary",
            "14:25:50 id_document_changed",
            "14:26:31 payment -> id_document_changed",
            "16:51:44 withdrawal -> id_document_changed",
        ),
        holder="foreign",
    ),
    # A resident number was wrong at the bank and is put right there; the binding still has the wrong one.
    Story(
        (
            "09:05-15:30 4 ordinary",
            "16:05:14 id_document_changed",
            "16:05:58 payment -> id_document_changed",
        ),
        holder="dotted",
    ),
    Story(
        (
            "08:12-09:50 3 ordinary",
            "10:29:07 phone_changed",
            "10:29:45 payment -> phone_changed",
            "12:00:52 withdrawal -> phone_changed",
            "20:20:20 payment -> phone_changed",
        ),
        second_account=True,
    ),
    # A clerk mistypes a phone and corrects it.
    Story(
        (
            "08:20-09:30 2 ordinary",
            "09:55:23 phone_changed",
            "09:56:00 payment -> phone_changed",
            "11:08:19 phone_changed back",
            "11:08:50 payment",
            "11:30-21:00 4 ordinary",
        )
    ),
    Story(
        (
            "08:40-12:40 3 ordinary",
            "13:00:55 credit_forbidden",
            "13:01:30 withdrawal -> credit_not_allowed",
            "13:03:14 payment",
            "19:40:02 withdrawal -> credit_not_allowed",
        )
    ),
    Story(
        (
            "08:50-11:50 3 ordinary",
            "12:15:37 debit_forbidden",
            "12:16:06 payment -> debit_not_allowed",
            "12:18:43 withdrawal",
            "17:29:30 payment -> debit_not_allowed",
        )
    ),
    # The holder ends the binding at the bank, not at the platform.
    Story(
        (
            "08:35-13:10 4 ordinary",
            "13:45:00 unbound",
            "13:45:28 payment -> unbound",
            "14:50:33 withdrawal -> unbound",
        )
    ),
    # An account in US dollars, paid from in the wrong currency.
    Story(
        (
            "08:28:08 payment in=CNY -> currency_not_allowed",
            "08:30:15 payment",
            "11:52:40 withdrawal in=CNY -> currency_not_allowed",
            "12:30-20:00 4 ordinary",
        ),
        currency="USD",
    ),
    # A limit of zero is nothing at all, not "no limit".
    Story(
        (
            "08:22:50 payment 1 -> over_daily_limit",
            "09:14:26 withdrawal",
            "10:45:00 limit_raised daily=50000",
            "10:45:36 payment rest+1 -> over_daily_limit",
            "10:47:12 payment rest",
        ),
        limits=(NO_LIMIT, 0),
    ),
    Story(
        (
            "08:33:11 payment 250000",
            "09:30:30 limit_lowered transaction=0",
            "09:31:04 payment 1 -> over_transaction_limit",
            "09:32:27 withdrawal",
            "19:15:15 limit_raised transaction=none",
            "19:15:49 payment 250000",
            "19:30-21:30 2 ordinary",
        ),
        limits=(NO_LIMIT, NO_LIMIT),
    ),
    # One account on a very bad day: whatever else holds, the reason of the earlier check is given.
    Story(
        (
            "09:00:00 payment",
            "09:15:00 phone_changed",
            "09:15:33 payment limit+1 -> phone_changed",
            "10:15:00 name_changed",
            "10:15:42 payment -> name_changed",
            "11:15:00 frozen",
            "11:15:39 payment -> account_frozen",
            "12:15:00 lost",
            "12:15:31 withdrawal -> account_lost",
            "13:15:00 closed",
            "13:15:44 withdrawal -> account_closed",
            "16:15:00 unbound",
            "16:15:35 payment -> unbound",
        ),
        limits=(200_000, 1_000_000),
    ),
    # The same for the reasons that an account in good standing can have.
    Story(
        (
            "08:36:40 payment limit+1 in=CNY -> currency_not_allowed",
            "08:38:12 payment limit",
            "09:25:00 phone_changed",
            "09:25:31 payment in=CNY -> phone_changed",
            "10:25:00 id_document_changed",
            "10:25:36 payment -> id_document_changed",
            "11:25:00 name_changed",
            "11:25:33 withdrawal -> name_changed",
            "12:25:00 debit_forbidden",
            "12:25:42 payment -> debit_not_allowed",
            "12:27:09 withdrawal -> name_changed",
            "15:25:00 credit_forbidden",
            "15:25:37 withdrawal -> credit_not_allowed",
            "17:25:00 dormant",
            "17:25:30 payment -> account_dormant",
            "17:26:48 withdrawal -> account_dormant",
        ),
        currency="USD",
        limits=(50_000, 200_000),
    ),
)

PLAIN = (
    *(ORDINARY_DAY,) * 6,
    Story(ORDINARY_DAY.steps, holder="dotted"),
    Story(ORDINARY_DAY.steps, holder="dotted", second_account=True),
    Story(ORDINARY_DAY.steps, holder="foreign"),
)

BACKGROUND = (
    Background("08:59:59 frozen"),
    Background("10:10:00 dormant", accounts=5),
    Background("11:24:13 lost"),
    Background("13:33:08 phone_changed"),
    Background("16:12:20 closed"),
    Background("18:00:00 limit_lowered transaction=100000 daily=200000", accounts=4),
)

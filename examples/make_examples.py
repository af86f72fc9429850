"""Writes the invented banks, accounts, users and day that `make demo` plays: byte for byte the same each time.

python examples/make_examples.py           writes the files and prints a summary
python examples/make_examples.py --check   writes nothing; exits 1 if a file differs from what would be written
"""

import argparse
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from generator.accounts import BANKS, as_csv
from generator.casting import cast_day, user_rows
from generator.day import Day, Score
from generator.every_holder import with_every_holder
from generator.people import People
from generator.script import whole_day

SEED = 20_260_319
HERE = Path(__file__).resolve().parent


def make() -> tuple[dict[str, str], Score]:
    """The text of every file by its name, and the day's score."""
    rng = random.Random(SEED)
    people = People(rng)
    everybody = cast_day(rng, people)
    users = user_rows(everybody, people, rng)
    everybody, more = with_every_holder(everybody)
    users += more
    day = Day(everybody, people, rng)
    events = day.play(whole_day(everybody, rng))
    banks = [{"bic": bank.bic, "name": bank.name, "name_zh": bank.name_zh} for bank in BANKS]
    files = {f"accounts-{bic}.csv": as_csv(accounts) for bic, accounts in everybody.accounts.items()}
    files["banks.json"] = json.dumps(banks, ensure_ascii=False, indent=2) + "\n"
    files["users.jsonl"] = _as_json_lines(users)
    files["trace.jsonl"] = _as_json_lines(events)
    return files, day.score


def main() -> int:
    """Write or check the files; the exit code."""
    parser = argparse.ArgumentParser(description="Make the invented input of the demo.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a committed file differs")
    check = parser.parse_args().check
    files, score = make()
    if check:
        differing = [name for name, text in files.items() if not _holds(HERE / name, text)]
        for name in differing:
            print(f"{name} is not what make_examples.py would write", file=sys.stderr)
        return 1 if differing else 0
    for name, text in files.items():
        (HERE / name).write_bytes(text.encode())
    _report(score)
    return 0


def _as_json_lines(rows: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _report(score: Score) -> None:
    for title, counts in (("transactions", score.verdicts), ("changes", score.changes)):
        print(f"{counts.total()} {title}")
        for name, count in counts.most_common():
            print(f"  {count:4d} {name}")
    print("a snapshot of the day's start, against what the bank would do")
    print(f"  {score.snapshot_wrong_approvals:4d} wrong approvals")
    print(f"  {score.snapshot_wrong_declines:4d} wrong declines")


if __name__ == "__main__":
    sys.exit(main())

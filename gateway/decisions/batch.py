"""The answer to a batch: the answer that each transaction would get alone, in the order of the request."""

import json
from collections.abc import Mapping, Sequence

from standing.ledger.errors import StandingError
from standing.ledger.service.languages import Language
from standing.ledger.service.problem_language import localized
from standing.ledger.service.problems import PROBLEM_TYPE, merged, problem_of


def batch_answer(
    answers: Sequence[bytes | StandingError],
    table: Mapping[type[StandingError], tuple[int, str]],
    language: Language,
) -> bytes:
    """The JSON document. `table` gives the HTTP status of each of the service's own errors; problems are in
    `language`."""
    known = merged(table)
    return b'{"answers":[' + b",".join(_item(answer, known, language) for answer in answers) + b"]}"


def _item(
    answer: bytes | StandingError, known: Mapping[type[StandingError], tuple[int, str]], language: Language
) -> bytes:
    if isinstance(answer, bytes):
        return b'{"status":200,"decision":' + answer + b',"problem":null}'
    problem = problem_of(answer, known)
    stated, _ = localized(problem.marshal(uri=PROBLEM_TYPE), language)
    document = {"status": problem.status, "decision": None, "problem": stated}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

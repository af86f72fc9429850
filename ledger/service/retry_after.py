"""The header `Retry-After` (RFC 9110, 10.2.3): a number of seconds, or a date."""

from datetime import UTC
from email.utils import parsedate_to_datetime

#: The longest wait accepted from a header, whatever its value.
LONGEST_S = 30 * 24 * 3600


def retry_after_s(header: str, now_ms: int) -> int | None:
    """How many seconds to wait, 0 to LONGEST_S; None where the header is neither a number nor a date."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]), LONGEST_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year of twenty digits
        return None
    # A date without a zone is in UTC, as HTTP dates are.
    at_ms = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    return max(0, min(-(-(at_ms - now_ms) // 1000), LONGEST_S))

"""Structured logs: one JSON object per line on standard error. Callers keep personal data and secrets out.

A line that cannot be written, as on a full disk, is dropped: what logs goes on.
"""

import logging
import sys
import threading
from contextlib import suppress
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import ExcInfo


def configure(level: str = "info") -> None:
    """Set up logging for a service process; `level` is debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    last = structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*common, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _LossyLogger(sys.stderr),
    )
    # Libraries log warnings and worse only; their debug messages may contain credentials or bodies.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *common,
                structlog.stdlib.add_logger_name,
                structlog.processors.ExceptionRenderer(_types_and_places),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    threading.excepthook = _log_end_of_thread


class _LossyLogger(structlog.WriteLogger):
    """Drops what cannot be written, as the standard library's loggers do: an error here would end a worker or answer a
    decision with 500."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


_with_text = ExceptionDictTransformer(show_locals=False)


def _types_and_places(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """An exception and its causes by types and places only: messages may contain anything, personal data included."""
    return [{"type": each["exc_type"], "frames": each["frames"]} for each in _with_text(exc_info)]


def _log_end_of_thread(args: threading.ExceptHookArgs) -> None:
    """Log what ended a thread as a single line, with the traceback in it."""
    if args.exc_value is None or args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread is not None else "unknown"
    logging.getLogger("threading").critical(
        "thread_ended %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
    )

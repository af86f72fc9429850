"""New files that only their owner may read, such as secrets and exports: complete and durable, or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from standing.ledger.service.settings import SettingsError


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner may read. Raises: SettingsError where it exists or cannot be written."""
    with new_private_file(path) as file:
        file.write(text)


@contextmanager
def new_private_file(path: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read: it is there, complete and durable, once the block has ended.

    Until then it has another, hidden name, so that a process that is killed leaves no part that could be taken for the
    whole, or that would be in the way of the next attempt. Raises: SettingsError where it exists or cannot be written.
    """
    draft = None
    try:
        if os.path.lexists(path):  # before any work; the link below finds out again
            raise FileExistsError
        number, draft = tempfile.mkstemp(prefix=".standing-", dir=path.parent)
        with open(number, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(number)
        _name_new(Path(draft), path)
    except FileExistsError as error:
        raise SettingsError(f"{path} exists already, and is not overwritten") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    finally:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)


def _name_new(draft: Path, path: Path) -> None:
    """Give a file its name durably, in one step, unless there is one of that name. Raises: OSError."""
    try:
        os.link(draft, path)  # a rename would replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError from None
        draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises: OSError."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

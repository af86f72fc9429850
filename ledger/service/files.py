"""Files that commands write for an operator: a service's new folder, and entries added to its settings."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Array

from standing.ledger.service.private_files import sync_folder
from standing.ledger.service.settings import SettingsError, read_settings_text


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Make `folder`, accessible to its owner only, completely or not at all.

    Yields: a temporary folder beside it, to fill; it is renamed at the end. Raises: SettingsError where `folder` is
    not empty, or cannot be made.
    """
    target = folder.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SettingsError(f"{folder} exists already, and is not overwritten; allowed: a new or an empty folder")
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}") from error
    try:
        yield made
        made.rename(target)
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}") from error
    finally:
        if made.exists():
            shutil.rmtree(made)


def settings_text(stated: Mapping[str, Any], comments: Mapping[str, str], heading: str) -> str:
    """A settings file in TOML: `stated` in order, each with its comment, under a heading.

    Values of None are written as comments, to be filled in.
    """
    document = tomlkit.document()
    for line in heading.splitlines():
        document.add(tomlkit.comment(line))
    for name, value in stated.items():
        if value is None:
            document.add(tomlkit.comment(f"{name} = …   # {comments[name]}"))
        elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
            for each in value:
                _append(document, name, each)
        else:
            item = tomlkit.item(value)
            if name in comments:
                item.comment(comments[name])
            document.add(name, item)
    return tomlkit.dumps(document).rstrip("\n") + "\n"


def add_entry(file: Path, name: str, entry: Mapping[str, Any], check: Callable[[str], None]) -> None:
    """Add `entry` to the list `name` of a settings file, which keeps its comments and its order.

    `check` gets the new text, and raises where it would be invalid; then nothing is written. The file is replaced in
    one step. Raises: SettingsError, and what `check` raises.
    """
    with _alone(file):
        try:
            document = tomlkit.parse(read_settings_text(file))
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{file}: {error}") from error
        _append(document, name, entry)
        text = tomlkit.dumps(document)
        check(text)
        _replace(file, text)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Waits for other commands that change this file: of two at once, one entry would be lost.

    Raises: SettingsError.
    """
    if os.name != "posix":
        yield
        return
    import fcntl  # noqa: PLC0415 - POSIX alone has it

    try:
        # The folder, because the file itself is replaced.
        descriptor = os.open(file.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    try:
        with suppress(OSError):  # a file system without such locks, as some NFS: the entry is added all the same
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def give_to_owner_of(file: Path, made: Path) -> None:
    """Give `made` to the user and the group that own `file`: a service must still read what root writes for it.

    Raises: SettingsError.
    """
    if os.name != "posix":
        return
    try:
        wanted, present = file.stat(), made.stat()
        if (wanted.st_uid, wanted.st_gid) != (present.st_uid, present.st_gid):
            os.chown(made, wanted.st_uid, wanted.st_gid)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


def _append(document: tomlkit.TOMLDocument, name: str, entry: Mapping[str, Any]) -> None:
    existing = document.get(name)
    if existing is None:
        document.add(name, tomlkit.aot())
        existing = document[name]
    if isinstance(existing, Array):
        inline = tomlkit.inline_table()
        inline.update(entry)
        existing.append(inline)
    elif isinstance(existing, AoT):
        table = tomlkit.table()
        table.update(entry)
        table.trivia.indent = "\n"
        existing.append(table)
    else:
        raise SettingsError(f"{name}: not a list; allowed: [[{name}]] tables")


def write_over(file: Path, text: str) -> None:
    """Write `file`. What it held before is kept until all of the text is on disk, where its folder allows that.

    Raises: OSError, SettingsError.
    """
    target = file.resolve()
    if target.is_file() and os.access(target.parent, os.W_OK):
        _replace_content(target, text)
    else:  # new, a device or pipe, or in a folder in which nothing can be made
        file.write_text(text, encoding="utf-8")


def _replace(file: Path, text: str) -> None:
    """Replace a file's content durably, in one step, with the same owner and permissions. Raises: SettingsError."""
    try:
        _replace_content(file.resolve(), text)  # a link stays a link
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


def _replace_content(target: Path, text: str) -> None:
    """As `_replace`, of a file that is no link. Raises: OSError, SettingsError."""
    number, made = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with open(number, "w", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        give_to_owner_of(target, Path(made))
        os.chmod(made, stat.S_IMODE(target.stat().st_mode))
        os.replace(made, target)
        sync_folder(target.parent)
    finally:
        Path(made).unlink(missing_ok=True)

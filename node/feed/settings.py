"""Settings of the feed's own sources: a view of the core's database, and a drop folder."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

#: The default bound on a feed file's length, in bytes.
MAX_FILE_BYTES = 4 * 1024**3

#: The default of `max_bad_share`: a file or pass of which more cannot be understood is taken for a wrong one.
MAX_BAD_SHARE = 0.05
#: Up to this many bad lines or rows never make a wrong file: one odd holder has a few accounts.
ALWAYS_TAKEN = 10


def too_many_bad(bad: int, of: int, max_share: float) -> bool:
    """Whether so many lines or rows of a file or pass cannot be understood that it is taken for a wrong one.

    `of`: all of its lines or rows; of a source that states only what changed, the known accounts where they are more.
    """
    return bad > ALWAYS_TAKEN and bad > max_share * of


class SqlViewSettings(BaseModel):
    """A view of the core's database that the node polls; see `node.feed.sql_view` and docs/FEED.md."""

    model_config = ConfigDict(extra="forbid")

    url: SecretStr = Field(description="SQLAlchemy URL of the core's database; use a user that can only read the view")
    view: str = Field("standing_accounts", pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}(\.[A-Za-z_][A-Za-z0-9_$]{0,62})?$")
    poll_ms: int = Field(1_000, ge=50, le=3_600_000)
    page_size: int = Field(1_000, ge=1, le=5_000, description="Rows held in memory, and changes per part of an entry")
    settle_ms: int = Field(
        2_000, ge=0, le=600_000, description="The longest time from a change's effective_at_ms until it is visible"
    )
    late_window_ms: int = Field(
        600_000,
        ge=1_000,
        le=86_400_000,
        description="How far back to look for changes that became visible later than that",
    )
    as_of_query: str | None = Field(
        None, max_length=1_000, description="Query for the core's time in milliseconds; known dialects have a default"
    )
    max_bad_share: float = Field(
        MAX_BAD_SHARE, ge=0, le=1, description="Refuse a pass if a larger share of it is invalid"
    )
    profile: Path | None = Field(None, description="TOML file that describes the view's format; none: the feed's own")
    timeout_ms: int = Field(30_000, ge=1_000, le=600_000, description="For connecting to the core's server")


class DropFolderSettings(BaseModel):
    """A folder into which the core, or a nightly job, puts files; see `node.feed.drop_folder` and docs/FEED.md."""

    model_config = ConfigDict(extra="forbid")

    path: Path
    role: Literal["source", "reconcile"] = Field(
        "source",
        description="source: the files are the feed. reconcile: full files only, compared with what another source fed",
    )
    poll_ms: int = Field(1_000, ge=50, le=3_600_000)
    page_size: int = Field(1_000, ge=1, le=5_000, description="Lines held in memory, and changes per part of an entry")
    require_checksum: bool = Field(False, description="Accept a file only with its FILE.sha256 beside it")
    max_bad_share: float = Field(
        MAX_BAD_SHARE, ge=0, le=1, description="Refuse a file if a larger share of it is invalid"
    )
    profile: Path | None = Field(None, description="TOML file that describes the files' format; none: the feed's own")
    max_bytes: int = Field(MAX_FILE_BYTES, ge=1_024, le=1024**4)

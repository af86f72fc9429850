"""Response schemas shared by several packages."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from standing.gateway.access.audit import MAX_REASON, AuditEntry
from standing.gateway.access.localized import Localized


class LocalizedText(BaseModel):
    """One text in English and in Chinese."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: Localized) -> "LocalizedText":
        return cls(en=text.en, zh=text.zh)


WhyField = Annotated[
    str,
    Field(min_length=3, max_length=MAX_REASON, pattern=r"\S", description="The reason; kept in the audit"),
]

Before = Annotated[int | None, Query(ge=1, le=2**62, description="Only entries before this position")]


Subject = Annotated[str | None, Query(min_length=1, max_length=140, description="Only acts on this subject")]


class AuditDocument(BaseModel):
    """Who did what, and why. `outcome`: done, or the kind of error; null: it is unknown whether the act took
    effect."""

    position: int
    at_ms: int
    caller: str = Field(description="Name of the key")
    role: str
    action: str = Field(examples=["lift_hold"])
    subject: str
    reason: str
    outcome: str | None = Field(examples=["done"])
    finished_at_ms: int | None

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditDocument":
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditList(BaseModel):
    """Entries, newest first, at most 200. For the next page, pass the last position as `before`."""

    entries: list[AuditDocument]

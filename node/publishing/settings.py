"""Settings of publishing and of the keys that sign."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class PublisherSettings(BaseModel):
    """How the publisher works; see `node.publishing.publisher.PublisherOptions`."""

    model_config = ConfigDict(extra="forbid")

    heartbeat_ms: int = Field(1_000, ge=50, le=3_600_000)
    poll_ms: int = Field(50, ge=5, le=10_000)
    batch_wait_ms: int = Field(0, ge=0, le=60_000)
    resend_after_ms: int = Field(15_000, ge=1_000, le=3_600_000)
    max_attestations: int = Field(300, ge=1, le=500)
    max_in_flight: int = Field(4, ge=1, le=64)
    herd_size: int = Field(
        1, ge=1, le=32, description="Bindings published together to hide the one that changed; 1: not hidden"
    )


class Pkcs11Settings(BaseModel):
    """A signing key in a hardware token; see `node.publishing.hsm`."""

    model_config = ConfigDict(extra="forbid")

    module: Path = Field(description="The token's PKCS#11 library")
    token_label: str = Field(min_length=1, max_length=32)
    key_label: str = Field(min_length=1, max_length=64)
    pin_file: Path

"""Shared by all routes: roles, and problems with their HTTP status."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends

from standing.gateway.access.audit import acting
from standing.gateway.errors import (
    BankNodeRefused,
    BankNodeUnreachable,
    BindingHeld,
    CertificateNotTrusted,
    GrantNotTrusted,
    StorageUnavailable,
    TooManyAttempts,
)
from standing.ledger.errors import StandingError
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.problems import MALFORMED, Documented

#: HTTP status and title of the gateway's own errors; the shared ones are in `ledger.service.problems`.
PROBLEMS: Mapping[type[StandingError], tuple[int, str]] = {
    BankNodeUnreachable: (503, "The bank's node cannot be reached"),
    StorageUnavailable: (503, "The gateway's database cannot be used at the moment"),
    BankNodeRefused: (502, "The bank's node gave no valid answer"),
    GrantNotTrusted: (502, "The bank's grant cannot be trusted"),
    CertificateNotTrusted: (502, "The bank's certificate cannot be trusted"),
    BindingHeld: (429, "Too many of the user's attempts to bind were refused"),
    TooManyAttempts: (429, "The bank accepts no more attempts for now"),
}

AnyRole = Annotated[Caller, Depends(require("platform", "support", "admin"))]
Platform = Annotated[Caller, Depends(require("platform", "admin"))]
Staff = Annotated[Caller, Depends(require("support", "admin"))]
Admin = Annotated[Caller, Depends(require("admin"))]
#: For routes that change something: an admin key must state a reason in a header, and the act is audited.
Acting = Annotated[Caller, Depends(acting("platform", "admin"))]
ActingAdmin = Annotated[Caller, Depends(acting("admin"))]

KEYED = (MissingKey, WrongRole)
LOOKING_UP = (*KEYED, MALFORMED)
STORAGE = Documented(503, "storage-unavailable", PROBLEMS[StorageUnavailable][1])
NODE_DOWN = Documented(503, "bank-node-unreachable", PROBLEMS[BankNodeUnreachable][1])
NODE_ODD = Documented(502, "bank-node-refused", PROBLEMS[BankNodeRefused][1])
GRANT_ODD = Documented(502, "grant-not-trusted", PROBLEMS[GrantNotTrusted][1])
CERTIFICATE_ODD = Documented(502, "certificate-not-trusted", PROBLEMS[CertificateNotTrusted][1])
HELD = Documented(429, "binding-held", PROBLEMS[BindingHeld][1])
TOO_MANY = Documented(429, "too-many-attempts", PROBLEMS[TooManyAttempts][1])

"""The kinds of refusal, and how a constraint of PostgreSQL becomes one of them.

    Refusal
    +-- Invalid            422   the request says something that cannot be true
    +-- Unauthenticated    401   nobody has proven to be the caller
    +-- Forbidden          403   the caller is known and may not do this
    +-- NotFound           404   the thing named does not exist, or not for this caller
    +-- Conflict           409   the thing is not in the state the request needs
    +-- Gone               410   it was possible until a moment that has passed
    +-- PaymentRequired    402   funds are missing
    +-- TooManyRequests    429   slow down; `retry_after_s` says how long
    +-- ServiceUnavailable 503   something Hansa depends on does not answer; the same request may be sent again
    +-- Defect             500   a constraint that only a bug of ours can break

A context names a refusal by subclassing a kind and saying which constraints speak it:

    class HoldExpired(Gone):
        # docstring: The hold's time is over; its money has gone back.
        constraint = "hold_alive_to_capture"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

REFUSALS: dict[str, type[Refusal]] = {}
"""Constraint name -> the refusal that speaks for it. Filled as the contexts define their errors."""


class Refusal(Exception):
    """A request was understood and is not granted; nothing of it was done."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    """True when the same request, sent again later, may succeed."""
    constraint: ClassVar[str | tuple[str, ...]] = ()
    """Names of the PostgreSQL constraints, or of `RAISE ... USING CONSTRAINT`, that this refusal speaks for."""

    def __init__(self, detail: str | None = None, **facts: object) -> None:
        self.detail = detail or first_line(type(self).__doc__)
        self.facts = facts
        """What a program needs to react: the amount missing, the state found, when to retry."""
        super().__init__(self.detail)

    def __init_subclass__(cls) -> None:
        names = cls.__dict__.get("constraint", ())
        for name in (names,) if isinstance(names, str) else names:
            rival = REFUSALS.setdefault(name, cls)
            if rival is not cls:
                raise TypeError(f"constraint {name} is spoken for by {rival.__name__} and {cls.__name__}")

    @classmethod
    def code(cls) -> str:
        """The stable name of this refusal for programs: the class name in snake case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def problem(self) -> dict[str, object]:
        """The refusal as the members of an RFC 9457 problem document."""
        return {
            **self.facts,  # first, so that no fact can stand in for one of the members below
            "type": f"urn:hansa:problem:{self.code()}",
            "title": first_line(type(self).__doc__),
            "status": self.status,
            "detail": self.detail,
            "code": self.code(),
            "retryable": self.retryable,
        }


class Invalid(Refusal):
    """The request says something that cannot be true."""

    status = 422


class Unauthenticated(Refusal):
    """Nobody has proven to be the caller."""

    status = 401


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    status = 403


class NotFound(Refusal):
    """The thing named does not exist."""

    status = 404


class Conflict(Refusal):
    """The thing is not in the state that the request needs."""

    status = 409


class Gone(Refusal):
    """It was possible until a moment that has passed."""

    status = 410


class PaymentRequired(Refusal):
    """Funds are missing."""

    status = 402


class TooManyRequests(Refusal):
    """The caller asks more often than is allowed."""

    status = 429
    retryable = True


class Defect(Refusal):
    """A constraint that only a bug can break was broken; nothing was written."""

    status = 500


class ServiceUnavailable(Refusal):
    """Something that Hansa depends on does not answer just now."""

    status = 503
    retryable = True


@dataclass(frozen=True, slots=True)
class Denied:
    """A command's value that says no: what it wrote is committed as evidence, then its refusal is answered.

    Raising the refusal instead would roll the evidence back.
    """

    refusal: Refusal


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0]

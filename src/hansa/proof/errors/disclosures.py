"""What proof refuses of credentials and disclosures."""

from hansa.kernel.errors import Conflict, Forbidden, Gone, Invalid, NotFound, ServiceUnavailable


class HouseKeyMissing(ServiceUnavailable):
    """The house has no key here, so it cannot issue or check its credentials."""

    retryable = False


class HolderKeyUnknown(Invalid):
    """No active key of this agent is known under this key id, so no credential can be bound to it."""


class AudienceMalformed(Invalid):
    """The audience names the verifier in 1 to 500 characters."""

    constraint = "disclosure_audience_named"


class DisclosureUnknown(NotFound):
    """There is no such disclosure request, or not for this caller."""

    constraint = "disclosure_request_known"


class DisclosureUsed(Conflict):
    """This request was answered before; it takes one presentation."""

    constraint = ("disclosure_request_used_once", "one_presentation_per_request")


class DisclosureExpired(Gone):
    """The time to answer this request is over; ask again."""

    constraint = "disclosure_request_alive"


class PresentationOfOtherWork(Forbidden):
    """The credential presented is about another piece of work than the one asked about."""

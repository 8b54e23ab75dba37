"""What can be wrong with an agent card, each thing by its own name."""

from hansa.kernel.errors import Forbidden, Invalid


class CardTooLarge(Invalid):
    """The card is larger than a card may be."""


class CardMalformed(Invalid):
    """The document is not an agent card of A2A v0.3 or v1."""


class CardFieldMissing(Invalid):
    """The card leaves out something that an agent cannot be registered without."""


class CardFieldTooLong(Invalid):
    """A text or a list in the card is longer than its place allows."""


class CardUnsigned(Invalid):
    """The card carries no signature, so it proves nothing about who wrote it."""


class CardKeyUnknown(Invalid):
    """The key that the signature names is not at hand: its DID holds none, and nobody resolved it."""


class CardSignatureWrong(Forbidden):
    """No signature of the card was made by the key it names over the card as it is."""


class CardDidForeign(Forbidden):
    """The card speaks for a DID that did not sign it."""


class CardWalletForeign(Forbidden):
    """The wallet in the card is not that of the DID's key: whoever signed may not be who is paid."""

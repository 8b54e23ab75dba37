"""What can be wrong with a selective disclosure credential, each thing by its own name."""

from hansa.kernel.errors import Forbidden, Gone, Invalid


class CredentialTooLarge(Invalid):
    """The presentation is larger, deeper, or of more parts than a verifier has to read."""


class CredentialMalformed(Invalid):
    """The text is not an SD-JWT that RFC 9901 allows."""


class AlgorithmRefused(Invalid):
    """The token names no signature algorithm that fits the key; `none` never does."""


class TokenTypeWrong(Invalid):
    """The token is of another type than the one expected in its place."""


class IssuerUnknown(Forbidden):
    """The verifier knows no key of this issuer."""


class IssuerSignatureWrong(Forbidden):
    """The issuer's key did not sign this credential."""


class CredentialTypeForeign(Forbidden):
    """The credential says something else than the verifier asked about."""


class CredentialExpired(Gone):
    """The credential's time is over."""


class CredentialNotYetValid(Invalid):
    """The credential begins to hold at a later moment."""


class ClaimReserved(Invalid):
    """The claim has a meaning to verifiers and is not to be set, hidden or disclosed here."""


class ClaimUnknown(Invalid):
    """The credential has no hidden claim of this name."""


class DisclosureMalformed(Invalid):
    """A disclosure is not a list of salt, name and value."""


class DisclosureDuplicate(Invalid):
    """The same disclosure, digest or claim name appears twice."""


class DisclosureUnreferenced(Invalid):
    """The issuer did not sign the digest of this disclosure."""


class HolderKeyMissing(Invalid):
    """The credential names no key of its holder, so nobody can prove to be the holder."""


class HolderKeyForeign(Forbidden):
    """The key that wants to present is not the key that the credential names."""


class KeyBindingMissing(Forbidden):
    """The holder did not sign this presentation: anyone who saw the credential could have sent it."""


class KeyBindingSignatureWrong(Forbidden):
    """The holder's key did not sign this presentation."""


class KeyBindingMismatch(Forbidden):
    """The holder signed for other disclosures than those presented."""


class KeyBindingTooOld(Gone):
    """The holder signed this presentation too long ago."""


class KeyBindingNotYetValid(Invalid):
    """The holder signed this presentation in the future."""


class AudienceForeign(Forbidden):
    """The presentation was made for another verifier."""


class NonceForeign(Forbidden):
    """The presentation answers another request."""

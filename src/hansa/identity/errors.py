"""What identity refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Invalid, NotFound, Unauthenticated


class NonceReplayed(Unauthenticated):
    """This nonce was used before: sign every request anew."""

    constraint = "nonce_used_once"


class SessionEnded(Unauthenticated):
    """The session is unknown, has ended or was revoked; sign in again."""


class WalletRevoked(Unauthenticated):
    """The key of this wallet was revoked, so it signs nobody in."""


class DidWithoutKey(NotFound):
    """No key is known for this DID, so nobody can stand behind it."""


class KeyForeign(Invalid):
    """The key is not the one that the DID is made of."""


class KeyProofWrong(Forbidden):
    """The proof was not made by the new key over this rotation."""


class KeyEndedBefore(Conflict):
    """This key was rotated away or revoked before; a key that ended stays ended."""


class KeyNotActive(Conflict):
    """The DID has no active key of this name: it is unknown, or has ended already."""


class AnotherKeyActive(Conflict):
    """The DID has another active key; rotate it instead."""

    constraint = "one_active_key_per_did"


class KeyKnownAlready(Conflict):
    """This key is on record for the DID already."""

    constraint = "one_row_per_key_id"


class KeyEndUnfit(Invalid):
    """A rotation says rotated or compromised; a revocation says retired or compromised."""


class WalletTaken(Conflict):
    """The wallet belongs to another account."""

    constraint = "wallet_of_one_account"


class UserUnknown(NotFound):
    """There is no such account, or not for this caller."""


class UsernameTaken(Conflict):
    """Another account has this user name."""

    constraint = "username_of_one_account"


class UsernameUnfit(Invalid):
    """A user name has 3 to 50 letters, digits, dots, dashes and underscores, and starts with a letter or digit."""

    constraint = "username_fit_for_a_url"


class EmailTaken(Conflict):
    """Another account has this e-mail address."""

    constraint = "email_of_one_account"


class AvatarUnfit(Invalid):
    """An avatar is an https URL of at most 2048 characters."""

    constraint = "avatar_is_an_https_url"


class BioTooLong(Invalid):
    """A biography has at most 2000 characters."""

    constraint = "bio_within_length"


class IdentityBroken(Defect):
    """A rule of the accounts was broken by a mistake in the code; nothing was written."""

    constraint = (
        "users_pkey",
        "user_of_one_role",
        "solana_did_of_one_account",
        "solana_did_is_a_did_sol",
        "wallet_is_base58",
        "positive_reputation",
        "spending_not_negative",
        "one_account_per_did",
        "did_of_an_account",
        "replaced_by_a_key_of_the_did",
        "key_has_32_bytes",
        "key_id_names_its_did",
        "key_has_a_purpose",
        "ended_keys_have_a_reason",
        "replaced_keys_have_ended",
        "one_challenge_per_nonce",
        "sign_in_sessions_pkey",
        "one_session_per_token",
        "session_of_a_user",
        "session_names_its_key",
        "token_kept_as_sha256",
        "session_ends_after_it_began",
    )

"""SPL tokens: where their accounts are, what their bytes say, and the two instructions the faucet needs."""

from decimal import Decimal
from typing import TypeAlias

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.token.state import Mint, Multisig, TokenAccount, TokenAccountState

from hansa.chain.errors import Json

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
PROGRAM_NAMES = {TOKEN_PROGRAM: "spl-token", TOKEN_2022_PROGRAM: "spl-token-2022"}
MINT_BYTES = 82
TOKEN_ACCOUNT_BYTES = 165
MULTISIG_BYTES = 355
EXTENDED_MINT, EXTENDED_TOKEN_ACCOUNT = 1, 2
"""The byte after the first 165, by which Token-2022 tells its longer accounts apart."""
STATE_NAMES = {
    int(TokenAccountState.Uninitialized): "uninitialized",
    int(TokenAccountState.Initialized): "initialized",
    int(TokenAccountState.Frozen): "frozen",
}

TokenState: TypeAlias = TokenAccount | Mint | Multisig


def associated_token_address(owner: Pubkey, mint: Pubkey, token_program: Pubkey = TOKEN_PROGRAM) -> Pubkey:
    """The one token account of `owner` for `mint` that everybody can find."""
    path = [bytes(owner), bytes(token_program), bytes(mint)]
    address, _ = Pubkey.find_program_address(path, ASSOCIATED_TOKEN_PROGRAM)
    return address


def token_state(account: Account | None) -> TokenState | None:
    """What an account of a token program holds; None when it is none of theirs or was never set up."""
    if account is None or account.owner not in PROGRAM_NAMES:
        return None
    state = _decode(bytes(account.data))
    if isinstance(state, TokenAccount):
        return None if state.state == TokenAccountState.Uninitialized else state
    return state if state is not None and state.is_initialized else None


def _decode(raw: bytes) -> TokenState | None:
    if len(raw) == MULTISIG_BYTES:
        return Multisig.from_bytes(raw)
    kind = raw[TOKEN_ACCOUNT_BYTES] if len(raw) > TOKEN_ACCOUNT_BYTES else None
    if len(raw) == MINT_BYTES or kind == EXTENDED_MINT:
        return Mint.from_bytes(raw[:MINT_BYTES])
    if len(raw) == TOKEN_ACCOUNT_BYTES or kind == EXTENDED_TOKEN_ACCOUNT:
        return TokenAccount.from_bytes(raw[:TOKEN_ACCOUNT_BYTES])
    return None


def amount_json(amount: int, decimals: int) -> dict[str, Json]:
    """An amount as RPC writes it. `uiAmount` is a float because clients expect one; nothing here computes with it."""
    exact = Decimal(amount).scaleb(-decimals)
    text = f"{exact:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return {"amount": str(amount), "decimals": decimals, "uiAmount": float(exact), "uiAmountString": text}


def state_json(state: TokenState, decimals: int | None) -> Json:
    """The `parsed` part of a jsonParsed answer. `decimals` are those of the mint, where there is one to ask."""
    match state:
        case Mint():
            return {"type": "mint", "info": _mint_info(state)}
        case Multisig():
            return {"type": "multisig", "info": _multisig_info(state)}
        case TokenAccount():
            return {"type": "account", "info": _token_account_info(state, decimals or 0)}


def _mint_info(mint: Mint) -> Json:
    return {
        "mintAuthority": _text(mint.mint_authority),
        "supply": str(mint.supply),
        "decimals": mint.decimals,
        "isInitialized": mint.is_initialized,
        "freezeAuthority": _text(mint.freeze_authority),
    }


def _multisig_info(multisig: Multisig) -> Json:
    return {
        "numRequiredSigners": multisig.m,
        "numValidSigners": multisig.n,
        "isInitialized": multisig.is_initialized,
        "signers": [str(signer) for signer in multisig.signers[: multisig.n]],
    }


def _token_account_info(account: TokenAccount, decimals: int) -> Json:
    info: dict[str, Json] = {
        "mint": str(account.mint),
        "owner": str(account.owner),
        "tokenAmount": amount_json(account.amount, decimals),
        "state": STATE_NAMES[int(account.state)],
        "isNative": account.is_native is not None,
    }
    if account.delegate is not None:
        info["delegate"] = str(account.delegate)
        info["delegatedAmount"] = amount_json(account.delegated_amount, decimals)
    if account.is_native is not None:
        info["rentExemptReserve"] = amount_json(account.is_native, 9)
    if account.close_authority is not None:
        info["closeAuthority"] = str(account.close_authority)
    return info


def _text(address: Pubkey | None) -> str | None:
    return None if address is None else str(address)


def create_associated_account(payer: Pubkey, owner: Pubkey, mint: Pubkey) -> Instruction:
    """Open the associated token account of `owner`, or do nothing when it is open."""
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=True),
        AccountMeta(associated_token_address(owner, mint), is_signer=False, is_writable=True),
        AccountMeta(owner, is_signer=False, is_writable=False),
        AccountMeta(mint, is_signer=False, is_writable=False),
        AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
        AccountMeta(TOKEN_PROGRAM, is_signer=False, is_writable=False),
    ]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM, bytes([1]), accounts)


def mint_to(mint: Pubkey, authority: Pubkey, destination: Pubkey, amount: int) -> Instruction:
    accounts = [
        AccountMeta(mint, is_signer=False, is_writable=True),
        AccountMeta(destination, is_signer=False, is_writable=True),
        AccountMeta(authority, is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN_PROGRAM, bytes([7]) + amount.to_bytes(8, "little"), accounts)

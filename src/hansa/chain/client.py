"""Our own client of a Solana node: the local chain or a cluster, which it cannot tell apart but by `instance()`.

Synchronous, one connection pool, a timeout on everything. Amounts are integers in the smallest unit. Reads are at
`confirmed`, the commitment at which a payment counts as made.
"""

import base64
import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self, TypeAlias

import httpx
from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from hansa.chain.errors import Json
from hansa.chain.tokens import TOKEN_PROGRAM, associated_token_address

COMMITMENT = "confirmed"
METHOD_NOT_FOUND = -32601
NODE_BEHIND = frozenset({-32004, -32005, -32014, -32016})
"""Codes of a node that is not ready: the same question may be answered a moment later."""
HTTP_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})

# Results of RPC are JSON of the shape the called method promises; each method below reads the fields it names.
Result: TypeAlias = Any


class ChainUnreachable(Exception):
    """No answer came. The same call may be made again, but one that sends may have worked all the same."""


class ChainRejected(Exception):
    """The node answered with an error. The same call will meet it again."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data

    @property
    def err(self) -> Json:
        """The transaction's error, when a preflight or simulation found one."""
        return self.data.get("err") if isinstance(self.data, dict) else None


class Confirmation(StrEnum):
    """How sure the cluster is that a transaction stays."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of a transaction that is on the chain."""

    slot: int
    err: Json
    """None when it succeeded. Look at it first: a transaction that failed is confirmed as well."""
    confirmation: Confirmation

    @property
    def succeeded(self) -> bool:
        return self.err is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """An account and its bytes."""

    lamports: int
    owner: str
    data: bytes
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What a transaction would do if it were sent now."""

    err: Json
    logs: tuple[str, ...]
    compute_units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChange:
    """What a transaction did to one token account."""

    account: str
    owner: str
    mint: str
    amount: int
    """Smallest units received; below 0 when they were spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionInfo:
    """A transaction that is on the chain, with what it moved."""

    signature: str
    slot: int
    block_time: datetime | None
    """When its block was made; None while the node does not know."""
    err: Json
    fee: int
    """Lamports paid by the fee payer."""
    raw: bytes
    logs: tuple[str, ...]
    token_changes: tuple[TokenChange, ...]
    """In the order of the transaction's accounts, without those that stayed as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureInfo:
    """One line of an address's history."""

    signature: str
    slot: int
    err: Json
    memo: str | None
    """Its memos, each behind its length in bytes in brackets; None when it has none."""
    block_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What the faucet of a local chain did."""

    signature: str
    usdc_account: str


class ChainRpc:
    """Calls to one node. Threads may share it. Every method raises ChainUnreachable and ChainRejected."""

    def __init__(self, url: str, *, timeout_s: float = 10.0) -> None:
        self.url = url
        self._http = httpx.Client(timeout=timeout_s)
        self._ids = itertools.count(1)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def genesis_hash(self) -> str:
        return self.call("getGenesisHash")

    def instance(self) -> str | None:
        """The id of a local chain; None when the node is a real one."""
        try:
            return self.call("hansa_instance")["instance"]
        except ChainRejected as error:
            if error.code == METHOD_NOT_FOUND:
                return None
            raise

    def slot(self) -> int:
        return self.call("getSlot", {"commitment": COMMITMENT})

    def block_height(self) -> int:
        return self.call("getBlockHeight", {"commitment": COMMITMENT})

    def latest_blockhash(self) -> tuple[Hash, int]:
        """The newest blockhash, and the last block height at which it is accepted."""
        value = self.call("getLatestBlockhash", {"commitment": COMMITMENT})["value"]
        return Hash.from_string(value["blockhash"]), value["lastValidBlockHeight"]

    def is_blockhash_valid(self, blockhash: Hash) -> bool:
        return self.call("isBlockhashValid", str(blockhash), {"commitment": COMMITMENT})["value"]

    def rent_minimum(self, data_bytes: int) -> int:
        """Lamports an account of that many bytes must hold."""
        return self.call("getMinimumBalanceForRentExemption", data_bytes)

    def balance(self, address: str) -> int:
        """Lamports; 0 when there is no such account."""
        return self.call("getBalance", address, {"commitment": COMMITMENT})["value"]

    def token_balance(self, owner: str, mint: str, *, token_program: str = str(TOKEN_PROGRAM)) -> int:
        """Smallest units in the owner's associated token account; 0 when it is not open."""
        program = Pubkey.from_string(token_program)
        account = associated_token_address(Pubkey.from_string(owner), Pubkey.from_string(mint), program)
        info = self.account(str(account))
        return 0 if info is None else int.from_bytes(info.data[64:72], "little")

    def account(self, address: str) -> AccountInfo | None:
        value = self.call("getAccountInfo", address, {"encoding": "base64", "commitment": COMMITMENT})["value"]
        if value is None:
            return None
        return AccountInfo(
            lamports=value["lamports"],
            owner=value["owner"],
            data=base64.b64decode(value["data"][0]),
            executable=value["executable"],
        )

    def send(self, raw: bytes, *, skip_preflight: bool = False) -> str:
        """Send a signed transaction and answer its signature, which its first 64 bytes after the count already are.

        After ChainUnreachable it may be on the chain or not: ask for its signature until the last valid block
        height has passed. With `skip_preflight` a bad transaction is not refused but never seen again.
        """
        options: Json = {"encoding": "base64", "skipPreflight": skip_preflight, "preflightCommitment": COMMITMENT}
        return self.call("sendTransaction", base64.b64encode(raw).decode(), options)

    def simulate(self, raw: bytes, *, verify_signatures: bool = True) -> Simulated:
        """Try a transaction without sending it."""
        options: Json = {"encoding": "base64", "sigVerify": verify_signatures, "commitment": COMMITMENT}
        value = self.call("simulateTransaction", base64.b64encode(raw).decode(), options)["value"]
        return Simulated(err=value["err"], logs=tuple(value["logs"] or ()), compute_units=value["unitsConsumed"] or 0)

    def signature_status(self, signature: str) -> Status | None:
        """What became of a transaction, however old; None when the node has not seen it land."""
        value = self.call("getSignatureStatuses", [signature], {"searchTransactionHistory": True})["value"][0]
        if value is None:
            return None
        return Status(
            slot=value["slot"],
            err=value["err"],
            confirmation=Confirmation(value["confirmationStatus"]),
        )

    def transaction(self, signature: str) -> TransactionInfo | None:
        """A landed transaction; None when the node does not know it."""
        options: Json = {"encoding": "base64", "commitment": COMMITMENT, "maxSupportedTransactionVersion": 0}
        value = self.call("getTransaction", signature, options)
        return None if value is None else _transaction(signature, value)

    def signatures_for(self, address: str, limit: int = 1000) -> list[SignatureInfo]:
        """The transactions that name an address, the newest first."""
        options: Json = {"limit": limit, "commitment": COMMITMENT}
        return [
            SignatureInfo(
                signature=value["signature"],
                slot=value["slot"],
                err=value["err"],
                memo=value["memo"],
                block_time=_time(value["blockTime"]),
            )
            for value in self.call("getSignaturesForAddress", address, options)
        ]

    def faucet(self, owner: str, *, usdc: int = 0, lamports: int = 0) -> Gift:
        """Give test money and open the owner's USDC account. Local chain only: a cluster rejects it."""
        value = self.call("hansa_faucet", {"owner": owner, "usdc": usdc, "lamports": lamports})
        return Gift(signature=value["signature"], usdc_account=value["usdcAccount"])

    def warp(self, *, slots: int | None = None, seconds: int | None = None) -> int:
        """Let time pass at once and answer the slot that runs then. Local chain only."""
        passed: Json = {"slots": slots} if seconds is None else {"seconds": seconds}
        return self.call("hansa_warp", passed)["slot"]

    def call(self, method: str, *params: Json) -> Result:
        """Make one call and answer its result."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        try:
            response = self._http.post(self.url, json=request)
        except httpx.TransportError as error:
            raise ChainUnreachable(f"{method}: {error or type(error).__name__}") from error
        if response.status_code in HTTP_RETRYABLE:
            raise ChainUnreachable(f"{method}: HTTP {response.status_code}")
        return _result(method, response)


def _result(method: str, response: httpx.Response) -> Result:
    try:
        answer: Result = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
        raise ChainRejected(
            response.status_code, f"{method}: HTTP {response.status_code} without an answer of JSON-RPC"
        )
    error: Result = answer.get("error")
    if error is None:
        return answer["result"]
    if error["code"] in NODE_BEHIND:
        raise ChainUnreachable(f"{method}: {error['message']}")
    raise ChainRejected(error["code"], error["message"], error.get("data"))


def _transaction(signature: str, value: Result) -> TransactionInfo:
    meta = value["meta"]
    return TransactionInfo(
        signature=signature,
        slot=value["slot"],
        block_time=_time(value["blockTime"]),
        err=meta["err"],
        fee=meta["fee"],
        raw=(raw := base64.b64decode(value["transaction"][0])),
        logs=tuple(meta["logMessages"] or ()),
        token_changes=_token_changes(raw, meta),
    )


def _token_changes(raw: bytes, meta: Result) -> tuple[TokenChange, ...]:
    """After minus before, for every token account the transaction names."""
    lent = meta.get("loadedAddresses") or {"writable": [], "readonly": []}
    static = [str(key) for key in VersionedTransaction.from_bytes(raw).message.account_keys]
    keys = [*static, *lent["writable"], *lent["readonly"]]
    before = {token["accountIndex"]: token for token in meta["preTokenBalances"] or ()}
    after = {token["accountIndex"]: token for token in meta["postTokenBalances"] or ()}
    changes: list[TokenChange] = []
    for index in sorted(before.keys() | after.keys()):
        token = after.get(index) or before[index]
        amount = _amount(after.get(index)) - _amount(before.get(index))
        if amount:
            changes.append(TokenChange(account=keys[index], owner=token["owner"], mint=token["mint"], amount=amount))
    return tuple(changes)


def _amount(token: Result) -> int:
    return 0 if token is None else int(token["uiTokenAmount"]["amount"])


def _time(unix_time: int | None) -> datetime | None:
    return None if unix_time is None else datetime.fromtimestamp(unix_time, UTC)

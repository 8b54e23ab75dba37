"""A buyer: one function that asks for a resource, pays for it if it must, and never pays twice for one purchase.

    with Hansa(url, key) as hansa:
        bought = pay_and_get(hansa, key, "https://feed.example/api/market-feed", max_price=10_000)
        print(bought.content, bought.txid)

The key stays here; the house keeps the books. The order is what makes it safe: the house reserves the price, the
payment is signed, the house keeps it sealed, and only then it is sent. Whatever happens to the answer, it is the same
payment that is sent again, so it can be settled once; with the same `purchase` even after a crash of this process.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from solders.hash import Hash
from solders.pubkey import Pubkey
from x402 import x402ClientSync
from x402.http.utils import (
    decode_payment_required_header,
    decode_payment_response_header,
    encode_payment_signature_header,
)
from x402.mechanisms.svm import KeypairSigner
from x402.mechanisms.svm.exact import ExactSvmClientScheme
from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements, SettleResponse

from hansa.chain.client import ChainRpc
from hansa.client import Hansa, Json, Refused
from hansa.infra import http as outgoing
from hansa.infra.keys import AgentKey

BACKOFF_S = (0.5, 1.0, 2.0)
"""Pauses before the three retries."""
NOT_OUR_OFFER = frozenset({"token_forbidden", "network_forbidden", "scheme_forbidden"})
"""Refusals of one offer that say nothing against the next one."""
FINAL = frozenset({400, 401, 403, 404, 405, 410, 422})
"""The seller will not answer otherwise, and charges nothing for these."""
PENDING = frozenset({"settlement_pending", "rpc_unavailable"})
KEPT_BYTES_MAX = 32_768


class TermsUnreadable(Exception):
    """The answer was 402, but not in the words of x402 version 2."""


class NothingAffordable(Exception):
    """The seller offers no terms at all."""


class NotDelivered(Exception):
    """The payment was made or may still be, and the seller did not answer; the house finds out and keeps the proof."""

    def __init__(self, transaction: Json) -> None:
        super().__init__(f"the payment is {transaction['status']} and no answer came")
        self.transaction = transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What was bought, or got for nothing."""

    response: httpx.Response
    transaction: Json | None
    """The payment as the house knows it; None: it cost nothing."""

    @property
    def content(self) -> Any:  # Any: whatever JSON the seller sells
        """The data. Raises ValueError when it is no JSON."""
        return self.response.json()

    @property
    def txid(self) -> str | None:
        """Id of the payment on the chain; None: it cost nothing, or the house does not know it yet."""
        return self.transaction["hash"] if self.transaction else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of sending the payment once."""

    response: httpx.Response | None
    """None: no answer came."""

    @property
    def settlement(self) -> SettleResponse | None:
        """What the seller says of the settlement; None: nothing that can be read."""
        header = self.response.headers.get("payment-response") if self.response is not None else None
        try:
            return decode_payment_response_header(header) if header else None
        except ValueError:
            return None

    @property
    def delivered(self) -> bool:
        return self.response is not None and self.response.status_code < 400

    @property
    def error_type(self) -> str | None:
        """What went wrong, in the words of the Autopay agent; None: nothing."""
        if self.delivered:
            return None
        if self.response is None or self.response.status_code >= 500:
            return "NETWORK_FAILURE"
        settlement = self.settlement
        return "RPC_ERROR" if settlement is not None and settlement.error_reason in PENDING else "REJECTED"


def pay_and_get(
    house: Hansa,
    key: AgentKey,
    url: str,
    *,
    max_price: int,
    seller: str | None = None,
    purchase: str | None = None,
    rpc_url: str | None = None,
    http: httpx.Client | None = None,
    backoff_s: Sequence[float] = BACKOFF_S,
) -> Bought:
    """Get a resource, and pay at most `max_price` smallest units for it if it asks for money.

    `seller`: DID of a registered seller, whose registered wallet is then the only one paid. `purchase`: a name of the
    caller's choice, at least 8 characters; the same one again goes on where a crashed call stopped. `rpc_url`: a Solana
    node of the buyer's own choice instead of the one that the house names.
    Raises Refused (the policy said no), TermsUnreadable, NothingAffordable, NotDelivered.
    """
    client = http or outgoing.client(user_agent="hansa-buyer")
    try:
        asked = client.get(url, follow_redirects=False)
        if asked.status_code != 402:
            return Bought(response=asked, transaction=None)
        required = terms_of(asked)
        name = purchase or str(uuid.uuid4())
        leave, terms = leave_to_pay(house, required, url, max_price=max_price, seller=seller, purchase=name)
        payload = payload_of(house, key, leave["transaction"], one_offer(required, terms), rpc_url or leave["rpc_url"])
        return deliver(house, client, leave["transaction"], payload, backoff_s)
    finally:
        if http is None:
            client.close()


def terms_of(asked: httpx.Response) -> PaymentRequired:
    """The seller's terms. Raises TermsUnreadable."""
    try:
        required = decode_payment_required_header(asked.headers["payment-required"])
    except (KeyError, ValueError) as problem:
        raise TermsUnreadable(str(problem)) from problem
    if not isinstance(required, PaymentRequired):
        raise TermsUnreadable("only version 2 of x402 is spoken here")
    return required


def leave_to_pay(
    house: Hansa, required: PaymentRequired, url: str, *, max_price: int, seller: str | None, purchase: str
) -> tuple[Json, PaymentRequirements]:
    """Ask the house for its leave, the cheapest offer first, whatever order the seller has put them in.

    Raises Refused, NothingAffordable.
    """
    refused: Refused | None = None
    for terms in sorted(required.accepts, key=price_of):
        intent = {
            "x402_request_id": purchase,
            "url": url,
            "resource": required.resource.url if required.resource else url,
            "terms": wire(terms),
            "max_price": max_price,
            "seller": seller,
        }
        try:
            return house.post("/api/autopay/payments", intent), terms
        except Refused as refusal:
            if refusal.code not in NOT_OUR_OFFER:
                raise
            refused = refusal
    raise refused or NothingAffordable("the seller names no terms")


def price_of(terms: PaymentRequirements) -> tuple[int, str]:
    return (len(terms.amount), terms.amount) if terms.amount.isdecimal() else (1_000, terms.amount)


def one_offer(required: PaymentRequired, terms: PaymentRequirements) -> PaymentRequired:
    """The seller's answer with only the offer that the house agreed to."""
    return required.model_copy(update={"accepts": [terms]})


def payload_of(house: Hansa, key: AgentKey, transaction: Json, offer: PaymentRequired, rpc_url: str) -> PaymentPayload:
    """The signed payment, which the house has kept: the one signed before, or a new one."""
    path = f"/api/autopay/payments/{transaction['id']}/signed"
    if transaction["message_hash"] is not None:
        return PaymentPayload.model_validate(house.get(path))
    payload = sign(key, offer, rpc_url)
    house.post(path, {"payload": wire(payload)})
    return payload


def sign(key: AgentKey, offer: PaymentRequired, rpc_url: str) -> PaymentPayload:
    """Sign the one offer with the official client, which may spend exactly its price and no more."""
    terms = offer.accepts[0]
    with ChainRpc(rpc_url) as chain:
        client = x402ClientSync().register(terms.network, Scheme(key, chain))
        client.set_spend_controls(
            {
                "max_amount_per_payment": False,
                "allowed_assets": [
                    {"network": terms.network, "asset": terms.asset, "max_amount_per_payment": terms.amount}
                ],
            }
        )
        payload = client.create_payment_payload(offer)
    assert isinstance(payload, PaymentPayload), "the terms are of version 2"
    return payload


def deliver(
    house: Hansa, client: httpx.Client, transaction: Json, payload: PaymentPayload, backoff_s: Sequence[float]
) -> Bought:
    """Send the payment until it is answered, the same one each time, and tell the house each time. Raises NotDelivered."""
    for retry, pause_s in enumerate((0.0, *backoff_s)):
        time.sleep(pause_s)
        sent = send(client, transaction["url"], payload)
        transaction = house.post(
            f"/api/autopay/payments/{transaction['id']}/outcome", told(sent, retry=retry, pause_s=pause_s)
        )
        if sent.response is not None and (sent.delivered or sent.response.status_code in FINAL):
            return Bought(response=sent.response, transaction=transaction)
        if transaction["status"] == "FAILED":
            break
    raise NotDelivered(transaction)


def send(client: httpx.Client, url: str, payload: PaymentPayload) -> Sent:
    headers = {"PAYMENT-SIGNATURE": encode_payment_signature_header(payload)}
    try:
        return Sent(response=client.get(url, headers=headers, follow_redirects=False))
    except httpx.TransportError:
        return Sent(response=None)


def told(sent: Sent, *, retry: int, pause_s: float) -> Json:
    """What the house is told: what was seen, no more."""
    return {
        "response_status": sent.response.status_code if sent.response is not None else None,
        "retry_count": retry,
        "backoff_delay": round(pause_s * 1000),
        "error_type": sent.error_type,
        "settlement": wire(sent.settlement) if sent.settlement is not None else None,
        "answer": document_of(sent.response) if sent.delivered and sent.response is not None else None,
    }


def document_of(response: httpx.Response) -> Json | None:
    """The data that was bought, when it is a short JSON object."""
    if len(response.content) > KEPT_BYTES_MAX:
        return None
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def wire(message: PaymentRequirements | PaymentPayload | SettleResponse) -> Json:
    return message.model_dump(mode="json", by_alias=True, exclude_none=True)


class Scheme(ExactSvmClientScheme):
    """The official scheme, reading the chain through our own client.

    Theirs is deprecated, is never closed and has no time limit; it is asked for two things only.
    """

    def __init__(self, key: AgentKey, chain: ChainRpc) -> None:
        super().__init__(KeypairSigner(key.solders()))
        self._reader = Reader(chain)

    def _get_client(self, network: str) -> Any:  # Any: a stand-in for solana-py's client, of which two calls are used
        del network  # the house has named the node of the one network that it pays on
        return self._reader


@dataclass(frozen=True, slots=True)
class Value:
    """An answer as solana-py wraps one."""

    value: Any  # Any: what the call is about


@dataclass(frozen=True, slots=True)
class Minted:
    """The account of a token's mint."""

    owner: Pubkey
    data: bytes


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest blockhash."""

    blockhash: Hash


@dataclass(frozen=True, slots=True)
class Reader:
    """The two questions that signing a payment asks."""

    chain: ChainRpc

    def get_account_info(self, address: Pubkey) -> Value:
        found = self.chain.account(str(address))
        return Value(None if found is None else Minted(Pubkey.from_string(found.owner), found.data))

    def get_latest_blockhash(self) -> Value:
        return Value(Latest(self.chain.latest_blockhash()[0]))

"""An agent buys from real sellers, with the chain as the judge; the numbers B.. name known attacks on buyers."""

import uuid

import httpx
import pytest
from x402.http.utils import decode_payment_required_header, encode_payment_required_header

from given.payments import CENT, USDC, address, fault, payment, wallet
from hansa.autopay import queries
from hansa.autopay.jobs import follow, poll_balances
from hansa.autopay.models import Currency
from hansa.chain.client import ChainUnreachable
from hansa.client import Refused
from hansa.examples.buyer import NotDelivered, pay_and_get
from hansa.infra.db import Query

QUICK = (0.05, 0.05, 0.05)
ALL_DUE = Query(int, "UPDATE autopay.transactions SET follow_at = clock_timestamp()")


class Wire(httpx.BaseTransport):
    """The network between buyer and seller, as a test wants it to be."""

    def __init__(self, *, lost=0, redirect=None, change=None, before_paid=None):
        self.inner, self.lost, self.redirect = httpx.HTTPTransport(), lost, redirect
        self.change, self.before_paid, self.payments = change, before_paid, []

    def handle_request(self, request):
        if self.redirect:
            return httpx.Response(302, headers={"location": self.redirect})
        payment = request.headers.get("payment-signature")
        if payment and self.before_paid:
            self.before_paid()
        answer = self.inner.handle_request(request)
        answer.read()
        if payment is None:
            return self.change(answer) if self.change else answer
        self.payments.append(payment)
        if len(self.payments) <= self.lost:
            raise httpx.ReadError("the answer was lost")
        return answer

    def close(self):
        self.inner.close()


def buy(hansa, path="/api/market-feed", *, wire=None, max_price=2 * CENT, **options):
    with httpx.Client(transport=wire or httpx.HTTPTransport(), timeout=30) as http:
        return pay_and_get(
            hansa, hansa.key, f"{hansa.url}{path}", max_price=max_price, http=http, backoff_s=QUICK, **options
        )


def budget(hansa):
    found = hansa.get("/api/autopay/budget")
    return found["spent"], found["reserved"]


def follow_all(services):
    with services.db.transaction() as tx:
        tx.run(ALL_DUE)
    follow(services)


def terms_changed(**changes):
    """A seller, or somebody in between, that asks for something else."""

    def change(answer):
        required = decode_payment_required_header(answer.headers["payment-required"])
        resource = required.resource.model_copy(update={"url": changes.get("resource", required.resource.url)})
        terms = {name: value for name, value in changes.items() if name != "resource"}
        accepts = [one.model_copy(update=terms) for one in required.accepts]
        changed = required.model_copy(update={"accepts": accepts, "resource": resource})
        return httpx.Response(402, headers={"payment-required": encode_payment_required_header(changed)})

    return change


def test_an_agent_buys_data_and_the_books_the_chain_and_both_wallets_agree(services, rpc, hansa, earned):
    agent = hansa()

    bought = buy(agent)

    transaction = bought.transaction
    assert {quote["symbol"] for quote in bought.content["quotes"]} == {"BTC", "ETH", "SOL"}
    assert (transaction["status"], transaction["amount"], transaction["retry_count"]) == ("SUCCESS", CENT, 0)
    assert rpc.transaction(bought.txid).err is None
    assert rpc.token_balance(agent.key.wallet, USDC) == 19 * CENT
    assert earned() == CENT
    assert budget(agent) == (CENT, 0)
    assert [one["id"] for one in agent.get("/api/transactions")["items"]] == [transaction["id"]]
    assert [one["response_status"] for one in agent.get("/api/autopay/requests")] == [200, 402]
    with services.db.transaction() as tx:
        assert queries.reconcile(tx) == []


def test_what_cannot_be_taken_back_any_more_is_verified_and_hashed(services, rpc, hansa):
    agent = hansa()
    transaction = buy(agent).transaction

    rpc.warp(slots=40)
    follow_all(services)

    verified = agent.get(f"/api/transactions/{transaction['id']}")
    assert (verified["status"], len(verified["verification_hash"])) == ("VERIFIED", 64)
    assert budget(agent) == (CENT, 0)


def test_what_is_free_is_not_paid_for(hansa):
    agent = hansa()

    got = buy(agent, "/healthz")

    assert (got.response.status_code, got.transaction, got.txid) == (200, None, None)
    assert agent.get("/api/transactions")["items"] == []


def test_b09_a_lost_answer_is_asked_for_again_with_the_same_payment_and_charged_once(rpc, hansa, earned):
    agent, wire = hansa(), Wire(lost=2)

    bought = buy(agent, wire=wire)

    assert bought.response.status_code == 200
    assert (len(wire.payments), len(set(wire.payments))) == (3, 1)
    assert (bought.transaction["status"], bought.transaction["retry_count"]) == ("SUCCESS", 2)
    assert earned() == CENT
    assert budget(agent) == (CENT, 0)


def test_a_buyer_that_crashed_after_signing_goes_on_with_the_same_payment(services, rpc, hansa, earned):
    agent = hansa()

    def crash():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        buy(agent, wire=Wire(before_paid=crash), purchase="breakfast feed")
    between = budget(agent)

    wire = Wire()
    bought = buy(agent, wire=wire, purchase="breakfast feed")
    again = buy(agent, wire=wire, purchase="breakfast feed")

    assert between == (0, CENT)
    assert bought.transaction["id"] == again.transaction["id"]
    assert bought.content == again.content
    assert len(set(wire.payments)) == 1
    assert earned() == CENT


def asked_for_leave(hansa):
    """A purchase of the market feed that the house has agreed to, and its terms."""
    required = decode_payment_required_header(httpx.get(f"{hansa.url}/api/market-feed").headers["payment-required"])
    terms = required.accepts[0]
    intent = {
        "x402_request_id": str(uuid.uuid4()),
        "url": required.resource.url,
        "resource": required.resource.url,
        "terms": terms.model_dump(by_alias=True),
        "max_price": CENT,
    }
    return hansa.post("/api/autopay/payments", intent)["transaction"], terms, required.resource.url


@pytest.mark.parametrize("flaw", ["another payee", "other terms", "another wallet"])
def test_what_is_signed_must_be_what_was_agreed(services, rpc, hansa, flaw):
    agent = hansa()
    transaction, terms, url = asked_for_leave(agent)
    signer = wallet(rpc, usdc=CENT) if flaw == "another wallet" else agent.key.solders()
    if flaw == "another payee":
        terms = terms.model_copy(update={"pay_to": address(wallet(rpc))})
    if flaw == "other terms":
        terms = terms.model_copy(update={"max_timeout_seconds": 9})
    payload = payment(services, signer, terms, url=url).model_dump(by_alias=True, exclude_none=True)

    with pytest.raises(Refused) as refused:
        agent.post(f"/api/autopay/payments/{transaction['id']}/signed", {"payload": payload})

    assert refused.value.code == "payment_not_as_agreed"
    assert agent.get(f"/api/transactions/{transaction['id']}")["message_hash"] is None


def test_a_seller_that_shows_somebody_elses_transaction_has_proven_nothing(services, hansa):
    txid = buy(hansa()).txid
    agent = hansa()
    transaction, terms, url = asked_for_leave(agent)
    path = f"/api/autopay/payments/{transaction['id']}"
    payload = payment(services, agent.key.solders(), terms, url=url).model_dump(by_alias=True, exclude_none=True)
    agent.post(f"{path}/signed", {"payload": payload})
    lie = {"success": True, "transaction": txid, "network": terms.network}

    told = agent.post(f"{path}/outcome", {"response_status": 200, "settlement": lie})

    assert (told["status"], told["hash"], told["facilitator_response"]["transaction"]) == ("PENDING", None, txid)
    assert budget(agent) == (0, CENT)


def test_unknown_is_never_failed_and_the_budget_comes_back_only_when_the_payment_is_dead(services, rpc, hansa, earned):
    agent = hansa()
    fault(rpc, "drop_send", times=99)
    wire = Wire(lost=99)

    with pytest.raises(NotDelivered) as undelivered:
        buy_impatiently(agent, wire)
    follow_all(services)
    open_still = agent.get(f"/api/transactions/{undelivered.value.transaction['id']}")
    reserved = budget(agent)
    rpc.warp(slots=200)
    follow_all(services)
    dead = agent.get(f"/api/transactions/{open_still['id']}")

    assert (open_still["status"], open_still["retry_count"], open_still["hash"]) == ("RETRYING", 3, None)
    assert reserved == (0, CENT)
    assert (dead["status"], dead["error_type"]) == ("FAILED", "NETWORK_FAILURE")
    assert budget(agent) == (0, 0)
    assert earned() == 0
    steps = agent.get(f"/api/transactions/{dead['id']}/events")
    assert [(step["status"], step["signed"], step["retry_count"]) for step in steps] == [
        ("PENDING", False, 0),
        ("PENDING", True, 0),
        ("RETRYING", True, 1),
        ("RETRYING", True, 2),
        ("RETRYING", True, 3),
        ("FAILED", True, 3),
    ]


def buy_impatiently(agent, wire):
    """A buyer that hangs up long before the seller could answer."""
    with httpx.Client(transport=wire, timeout=0.5) as http:
        pay_and_get(agent, agent.key, f"{agent.url}/api/market-feed", max_price=CENT, http=http, backoff_s=QUICK)


def test_a_payment_whose_outcome_nobody_told_is_found_on_the_chain_by_its_message(rpc, hansa):
    agent, wire = hansa(), Wire(lost=99)

    with pytest.raises(NotDelivered) as undelivered:
        buy(agent, wire=wire)

    assert undelivered.value.transaction["status"] == "SUCCESS"
    assert rpc.transaction(undelivered.value.transaction["hash"]).err is None
    assert budget(agent) == (CENT, 0)


def test_an_answer_of_not_found_is_not_retried_and_costs_nothing_in_the_end(services, rpc, hansa, earned):
    agent, wire = hansa(), Wire()

    got = buy(agent, "/api/knowledge?topic=alchemy", wire=wire)
    before = budget(agent)
    rpc.warp(slots=200)
    follow_all(services)

    assert (got.response.status_code, len(wire.payments)) == (404, 1)
    assert before == (0, 2 * CENT)
    assert budget(agent) == (0, 0)
    assert earned() == 0


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}, "network_forbidden"),
        ({"asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"}, "token_forbidden"),
        ({"scheme": "upto"}, "scheme_forbidden"),
        ({"amount": str(3 * CENT)}, "price_above_offer"),
        ({"amount": "1000000000"}, "price_above_offer"),
        ({"resource": "https://elsewhere.example/api/market-feed"}, "resource_elsewhere"),
        ({"pay_to": "the buyer"}, "self_payment"),
    ],
    ids=str,
)
def test_terms_that_break_the_policy_are_refused_by_name_and_leave_evidence_only(rpc, hansa, changes, refusal):
    agent = hansa()
    changes = changes | ({"pay_to": agent.key.wallet} if "pay_to" in changes else {})
    wire = Wire(change=terms_changed(**changes))

    with pytest.raises(Refused) as refused:
        buy(agent, wire=wire)

    assert refused.value.code == refusal
    assert wire.payments == []
    assert agent.get("/api/transactions")["items"] == []
    assert budget(agent) == (0, 0)
    assert [one["refusal"] for one in agent.get("/api/autopay/requests")] == [refusal]


def test_b02_a_price_above_the_cap_of_one_payment_is_refused_whatever_the_caller_would_pay(hansa):
    agent = hansa(payment_max=CENT)

    with pytest.raises(Refused) as refused:
        buy(agent, "/api/knowledge?topic=x402", max_price=100 * CENT)

    assert (refused.value.code, refused.value.problem["payment_max"]) == ("payment_too_dear", CENT)


def test_a_host_that_is_not_on_the_list_is_not_paid(hansa):
    agent = hansa(hosts=["feed.example"])

    with pytest.raises(Refused) as refused:
        buy(agent)

    assert (refused.value.code, refused.value.problem["host"]) == ("host_forbidden", "127.0.0.1")


def test_b04_a_redirect_is_not_followed_to_whoever_wants_money(hansa):
    agent = hansa()

    got = buy(agent, wire=Wire(redirect="https://elsewhere.example/pay-me"))

    assert (got.response.status_code, got.transaction) == (302, None)


def test_a_registered_seller_is_paid_to_its_registered_wallet_only(hansa):
    agent, impostor = hansa(), hansa()

    with pytest.raises(Refused) as refused:
        buy(agent, seller=impostor.key.did)

    assert (refused.value.code, refused.value.problem["registered"]) == ("payee_differs", impostor.key.wallet)


@pytest.mark.parametrize(
    ("phase", "refusal"), [("DEMO", "demo_pays_nothing"), ("INTERACTIVE", "owner_must_approve")], ids=str
)
def test_only_the_full_phase_pays_by_itself(hansa, phase, refusal):
    agent = hansa()
    agent.call("PUT", "/api/autopay/agent", body={"autonomy_phase": phase})

    with pytest.raises(Refused) as refused:
        buy(agent)

    assert refused.value.code == refusal
    assert budget(agent) == (0, 0)


def test_a_low_balance_pauses_paying_until_there_is_more(services, rpc, hansa):
    agent = hansa(usdc=CENT)
    rules = {"fundsThreshold": 2 * CENT, "freshnessWindow": 300}
    agent.call("PUT", "/api/autopay/agent", body={"autonomy_phase": "FULL", "priority_rules": rules})

    with pytest.raises(Refused) as paused:
        buy(agent)
    changed = poll_balances(services)
    low = agent.get("/api/autopay/balance")
    rpc.faucet(agent.key.wallet, usdc=4 * CENT)
    bought = buy(agent)

    assert paused.value.code == "paying_paused"
    assert changed >= 1
    assert (low["status"], low["balance"]) == ("PAUSED", CENT)
    assert bought.response.status_code == 200
    assert agent.get("/api/autopay/balance")["status"] == "SUFFICIENT"


def test_a_wallet_that_is_too_empty_is_told_before_anything_is_signed(hansa):
    agent = hansa(usdc=CENT - 1)

    with pytest.raises(Refused) as refused:
        buy(agent)

    assert (refused.value.code, refused.value.problem["balance"]) == ("wallet_too_empty", CENT - 1)


def test_agents_see_their_own_payments_only(services, hansa):
    agent, stranger = hansa(), hansa()
    transaction = buy(agent).transaction

    with pytest.raises(Refused) as refused:
        stranger.get(f"/api/transactions/{transaction['id']}")

    assert refused.value.code == "transaction_unknown"
    assert stranger.get("/api/transactions")["items"] == []


def test_the_signed_payment_is_kept_sealed_and_opened_for_its_agent_only(owner, hansa):
    agent, stranger = hansa(), hansa()
    transaction = buy(agent).transaction
    path = f"/api/autopay/payments/{transaction['id']}/signed"

    payload = agent.get(path)
    with pytest.raises(Refused) as refused:
        stranger.get(path)

    [(stored,)] = owner.execute("SELECT payload FROM autopay.transactions WHERE id = %s", [transaction["id"]])
    assert bytes(stored).startswith(b"HSE1")
    assert payload["payload"]["transaction"].encode() not in bytes(stored)
    assert refused.value.code == "transaction_unknown"


def test_the_balance_of_an_agent_is_polled_without_being_asked(services, hansa):
    agent = hansa()

    first, second = poll_balances(services), poll_balances(services)

    assert first >= 1
    assert second == 0
    with services.db.transaction() as tx:
        assert queries.balance_of(tx, agent.key.did, Currency.USDC).balance == 20 * CENT


def test_a_purchase_that_nobody_signed_frees_its_price_and_can_no_longer_be_signed(services, owner, hansa):
    agent = hansa()
    with pytest.raises(ChainUnreachable):
        buy(agent, rpc_url="http://127.0.0.1:9", purchase="never signed")
    reserved = budget(agent)

    owner.execute("UPDATE autopay.transactions SET expires_at = clock_timestamp() WHERE message_hash IS NULL")
    follow(services)
    with pytest.raises(Refused) as late:
        buy(agent, purchase="never signed")

    assert reserved == (0, CENT)
    assert budget(agent) == (0, 0)
    assert agent.get("/api/transactions")["items"][0]["status"] == "FAILED"
    assert late.value.code == "purchase_lapsed"

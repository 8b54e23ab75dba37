"""Searching: filters, the order and what it is made of, and the row that every search leaves."""

import re
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

import hansa.registry.routes
from given import identity, proof, registry
from given.discovery import deliver, found, indexed, names, skill
from hansa.discovery import commands, jobs, queries, routes
from hansa.discovery.errors import QueryUnknown, RankingWeightsUnfit, SearchUnfit
from hansa.discovery.models import RankingWeights, SearchRequest
from hansa.infra.db import Actor, Query, TextUnstorable
from hansa.infra.keys import AgentKey
from hansa.kernel.money import Asset
from hansa.proof.queries import trust_of
from hansa.registry.cards import content_hash

ROWS = Query(int, "SELECT count(*) FROM discovery.agent_queries")
WEIGHTS = {"relevance": Decimal("0.6"), "trust": Decimal("0.3"), "usefulness": Decimal("0.1")}


def search(tx, *, by=None, **request):
    return commands.search(tx, SearchRequest(**request), by=by, at=tx.at)


# ---------------------------------------------------------------------------------------------------------------
# Finding


@pytest.fixture
def audit_agents(tx):
    """Three agents whom the word audit fits more and less."""
    indexed(tx, "Audit House", skill("Contract audit", "solidity", "security"), domains=["Security Audit"])
    indexed(tx, "Ada", skill("Smart contract audits"), domains=["Research", "DevOps"])
    indexed(tx, "Bob", skill("Translation", "french"), description="Also audits, now and then.")


def test_text_finds_all_forms_of_a_word_and_a_name_weighs_most(tx, audit_agents):
    assert names(tx, text="auditing") == ["Audit House", "Ada", "Bob"]


def test_a_phrase_and_an_exclusion_narrow_the_search(tx, audit_agents):
    assert names(tx, text='"smart contract" audit') == ["Ada"]
    assert set(names(tx, text="audit -translation")) == {"Audit House", "Ada"}


def test_a_hit_says_which_words_and_skills_made_it_one(tx, audit_agents):
    [ada] = found(tx, text="smart audits weather OR smart", skills=("smart contract audits",)).hits

    assert ada.why.terms == ["audits", "smart"]
    assert ada.why.skills == ["Smart contract audits"]


def test_skills_are_found_by_name_and_by_tag_in_any_case_and_all_of_them_are_needed(tx, audit_agents):
    assert names(tx, skills=("SOLIDITY",)) == ["Audit House"]
    assert names(tx, skills=("contract AUDIT", "security")) == ["Audit House"]
    assert names(tx, skills=("security", "french")) == []


def test_a_domain_finds_its_agents_primary_or_not(tx, audit_agents):
    assert names(tx, domain=8) == ["Ada"]
    assert names(tx, domain=9) == []


def test_the_best_fit_of_a_text_is_relevance_one_and_a_search_without_text_is_all_ones(tx, audit_agents):
    with_text = [hit.relevance for hit in found(tx, text="audit").hits]
    without = [hit.relevance for hit in found(tx).hits]

    assert with_text[0] == 1.0
    assert 0 < with_text[2] < with_text[1] < 1
    assert without == [1.0, 1.0, 1.0]


def test_reputation_and_trust_filter_what_is_found(tx, keys):
    proven, fresh = indexed(tx, "Proven"), indexed(tx, "Fresh")
    proof.settled(tx, proven, keys)
    deliver(tx)

    assert names(tx, min_reputation=0.01) == ["Proven"]
    assert names(tx, min_trust=0.5001) == ["Proven"]
    assert set(names(tx, min_reputation=0, min_trust=0.5)) == {"Proven", "Fresh"}
    assert trust_of(tx, fresh, tx.at).score == 0.5


def test_trust_fades_towards_neutral_in_a_search_as_it_does_anywhere(tx, keys):
    did = indexed(tx, "Proven")
    proof.settled(tx, did, keys)
    deliver(tx)
    later = tx.at + timedelta(days=30)

    [now] = found(tx).hits
    [then] = commands.search(tx, SearchRequest(), by=None, at=later, age_max=timedelta(0)).hits

    assert 0.5 < then.trust < now.trust
    assert then.trust == round(trust_of(tx, did, later).score, 4)


def test_a_highest_price_is_compared_in_its_own_asset_only(tx):
    indexed(tx, "Cheap", pricing={"asset": "USDC", "taskMin": "0.05"})
    indexed(tx, "Dear", pricing={"asset": "USDC", "taskMin": "2"})
    indexed(tx, "In credits", pricing={"asset": "CREDIT", "taskMin": "0.001"})
    indexed(tx, "Only its most", pricing={"asset": "USDC", "taskMax": "0.04"})
    indexed(tx, "Silent")

    assert set(names(tx, price_max=50_000, asset=Asset.USDC)) == {"Cheap", "Only its most"}
    assert names(tx, price_max=49_999, asset=Asset.USDC) == ["Only its most"]
    assert names(tx, price_max=1) == ["In credits"]


def test_filters_come_before_the_limit(tx, keys):
    for number in range(4):
        did = indexed(tx, f"Famous forecast {number}", skill("Forecast"))
        proof.settled(tx, did, keys)
    deliver(tx)
    indexed(tx, "Unknown", skill("Reading", "rare"), description="Forecasts too.")

    assert "Unknown" not in names(tx, text="forecast", limit=1)
    assert names(tx, text="forecast", skills=("rare",), limit=1) == ["Unknown"]


# ---------------------------------------------------------------------------------------------------------------
# The order


@pytest.fixture
def ranked_agents(tx, keys):
    """Agents that differ in each of the three things that count."""
    for number in range(6):
        did = indexed(tx, f"Agent {number}", skill("Forecast" if number % 2 else "Weather", "weather"))
        for _ in range(number % 3):
            proof.settled(tx, did, keys)
        registry.usefulness_cached(tx, {did: Decimal(17 * number % 100)})
        commands.refresh_standing(tx, did)
    deliver(tx)


def score_of(hit, weights):
    return (
        weights["relevance"] * Decimal(str(hit.relevance))
        + weights["trust"] * Decimal(str(hit.trust))
        + weights["usefulness"] * Decimal(str(hit.usefulness)) / 100
    )


@pytest.mark.parametrize("text", [None, "forecast OR weather"])
def test_hits_are_in_the_order_that_their_own_numbers_give(tx, ranked_agents, text):
    hits = found(tx, text=text).hits

    assert len({hit.score for hit in hits}) == 6
    for hit in hits:
        parts = (hit.why.relevance, hit.why.trust, hit.why.usefulness)
        assert Decimal(str(hit.score)) == score_of(hit, WEIGHTS) == sum(Decimal(str(part)) for part in parts)
        assert Decimal(str(hit.why.trust)) == WEIGHTS["trust"] * Decimal(str(hit.trust))
    assert hits == sorted(hits, key=lambda hit: -hit.score)


def test_other_weights_give_another_order(tx, ranked_agents):
    before = [hit.did for hit in found(tx).hits]
    weights = {"relevance": Decimal(0), "trust": Decimal(0), "usefulness": Decimal(1)}

    commands.set_ranking_weights(tx, RankingWeights(**weights))

    hits = found(tx).hits
    assert [hit.did for hit in hits] != before
    assert [hit.usefulness for hit in hits] == sorted((hit.usefulness for hit in hits), reverse=True)
    assert all(hit.score == hit.why.usefulness == hit.usefulness / 100 for hit in hits)


@pytest.mark.parametrize(("relevance", "trust", "usefulness"), [("0.6", "0.3", "0.2"), ("1.1", "-0.1", "0")])
def test_weights_that_are_no_shares_of_one_are_refused(tx, relevance, trust, usefulness):
    wrong = RankingWeights(relevance=Decimal(relevance), trust=Decimal(trust), usefulness=Decimal(usefulness))

    with pytest.raises(RankingWeightsUnfit), tx.savepoint():
        commands.set_ranking_weights(tx, wrong)

    assert queries.ranking_weights(tx).relevance == Decimal("0.6")


def test_equal_scores_are_ordered_by_the_lower_bound_and_then_by_did(tx, keys):
    failed, fresh, fresher, proven = sorted(indexed(tx, f"Agent {number}") for number in range(4))
    commands.set_ranking_weights(tx, RankingWeights(relevance=Decimal(1), trust=Decimal(0), usefulness=Decimal(0)))
    proof.settled(tx, proven, keys)
    proof.settled(tx, failed, keys, outcome=Decimal(0))
    deliver(tx)

    hits = found(tx).hits

    assert {hit.score for hit in hits} == {1.0}
    assert [hit.did for hit in hits] == [proven, fresh, fresher, failed]


# ---------------------------------------------------------------------------------------------------------------
# The row that a search leaves


def test_the_same_search_within_ten_seconds_gets_the_same_result_with_its_age(tx):
    indexed(tx, "Ada", skill("Audit"))
    first = search(tx, text="audit", skills=("Audit",))
    indexed(tx, "Bob", skill("Audit"))

    again = search(tx, text="  audit ", skills=("AUDIT", "audit"))

    assert (again.results_hash, again.hits) == (first.results_hash, first.hits)
    assert first.age_s == 0 < again.age_s < 10
    assert again.query != first.query
    assert queries.query_of(tx, again.query).age_s == again.age_s


def test_an_older_result_is_not_given_again(tx):
    indexed(tx, "Ada", skill("Audit"))
    first = search(tx, text="audit")
    indexed(tx, "Bob", skill("Audit"))
    tx.connection.execute("UPDATE discovery.answers SET computed_at = computed_at - interval '10 seconds'")

    again = search(tx, text="audit")

    assert again.age_s == 0
    assert again.results_hash != first.results_hash
    assert len(again.hits) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"text": "audit", "limit": 21},
        {"text": "audits"},
        {"text": "audit", "skills": ("audit",)},
        {"text": "audit", "min_reputation": 0.0},
        {"text": "audit", "verified_only": True},
        {"text": "audit", "price_max": 1},
    ],
)
def test_other_parameters_are_another_query(tx, other):
    search(tx, text="audit")

    assert search(tx, **other).age_s == 0


def test_every_search_leaves_one_row_that_says_what_was_asked_and_found(tx):
    did = indexed(tx, "Ada", skill("NLP"), domains=["Research"])
    before = tx.one(ROWS)

    result = search(tx, by=did, skills=("NLP",), domain=6, min_reputation=0.0)
    search(tx, by=did, skills=("NLP",), domain=6, min_reputation=0.0)

    asked = queries.query_of(tx, result.query)
    assert tx.one(ROWS) == before + 2
    assert asked.query_params == {"skills": ["nlp"], "domain": 6, "min_reputation": 0, "limit": 20}
    assert asked.capability_filter == {"skills": ["nlp"], "domain": 6}
    assert (asked.asked_by, asked.result_count, asked.age_s) == (did, 1, 0)
    assert asked.user_id == identity.commands.ensure_user(tx, did, at=tx.at).id


def test_the_hash_of_a_result_is_the_cid_of_its_canonical_json(tx):
    indexed(tx, "Ada", pricing={"asset": "USDC", "taskMin": "0.05"})
    result = found(tx)

    stored = queries.query_of(tx, result.query).results

    assert result.results_hash == content_hash(rfc8785.dumps(stored))
    assert stored["hits"][0]["price_min"] == 50_000


def test_a_result_that_is_found_again_is_stored_once(tx):
    first, second = found(tx, text="nothing fits"), found(tx, text="this neither")

    stored = tx.one(Query(int, "SELECT count(*) FROM discovery.results WHERE result_count = 0"))
    assert first.results_hash == second.results_hash
    assert stored == 1


def test_searches_are_forgotten_after_ninety_days_and_their_results_with_them(db, owner, services):
    with db.transaction() as tx:
        old, young = search(tx, text="old"), search(tx, limit=1)
        indexed(tx, "Ada")
        old_result = search(tx, text="ada")
    owner.execute(
        """UPDATE discovery.agent_queries SET "timestamp" = "timestamp" - interval '91 days' WHERE id <> %s""",
        [young.query],
    )
    owner.execute("UPDATE discovery.answers SET computed_at = computed_at - interval '2 hours'")
    owner.execute("UPDATE discovery.results SET computed_first_at = computed_first_at - interval '91 days'")

    forgotten = jobs.sweep(services)

    kept = {row[0] for row in owner.execute("SELECT results_hash FROM discovery.results")}
    assert forgotten == 2
    assert kept == {young.results_hash}
    assert old.results_hash == young.results_hash != old_result.results_hash
    assert owner.execute("SELECT count(*) FROM discovery.answers").fetchone() == (0,)


# ---------------------------------------------------------------------------------------------------------------
# Who sees it


def test_a_search_is_seen_by_whoever_asked_and_by_nobody_else(db):
    ada, bob, person = AgentKey.generate(), AgentKey.generate(), AgentKey.generate()
    with db.transaction() as tx:
        registry.agent(tx, ada), registry.agent(tx, bob)
        user, owner_of_ada = identity.account(tx, person), identity.account(tx, ada)
    with db.transaction(identity.as_agent(ada)) as tx:
        of_ada = search(tx, by=ada.did, text="secret plans").query
    with db.transaction(identity.as_user(user)) as tx:
        of_user = search(tx, by=user.solana_did, text="secret plans").query
    with db.transaction(Actor(kind="anonymous")) as tx:
        of_nobody = search(tx, text="secret plans").query

    def seen_by(actor):
        with db.transaction(actor) as tx:
            return {asked.id for asked in queries.queries(tx).items}

    assert seen_by(identity.as_agent(ada)) == seen_by(identity.as_user(owner_of_ada)) == {of_ada}
    assert seen_by(identity.as_agent(bob)) == seen_by(Actor(kind="anonymous")) == set()
    assert seen_by(identity.as_user(user)) == {of_user}
    assert seen_by(Actor(kind="operator")) == {of_ada, of_user, of_nobody}


def test_nobody_can_search_in_the_name_of_somebody_else(db):
    ada, eve = AgentKey.generate(), AgentKey.generate()

    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction(identity.as_agent(eve)) as tx:
        search(tx, by=ada.did)

    with db.transaction(Actor(kind="operator")) as tx:
        assert queries.queries(tx).items == []


# ---------------------------------------------------------------------------------------------------------------
# Odd searches


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(max_size=60) | st.text(alphabet="ab\"'-:*&|!()<>\\%_ OR", max_size=30))
def test_any_text_is_a_search_or_a_refusal(tx, text):
    if "\0" in text:
        with pytest.raises(TextUnstorable), tx.savepoint():
            found(tx, text=text)
        return

    result = found(tx, text=text, skills=(text,) if text.strip() else ())

    assert result.hits == []


@pytest.mark.parametrize("text", ["*", "%", "aud*", "the", "!!", '"', "()", "a:*", "' OR 1=1 --", "\u202e", "-"])
def test_wildcards_and_signs_find_nothing_instead_of_everything(tx, text):
    indexed(tx, "Ada", skill("Audit"))

    assert names(tx, text=text) == []


def test_an_exclusion_alone_finds_all_others(tx, audit_agents):
    assert set(names(tx, text="-french")) == {"Ada", "Audit House"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0),
        ("limit", 101),
        ("min_reputation", 1.01),
        ("min_trust", float("nan")),
        ("price_max", -1),
        ("price_max", 2**53),
        ("domain", 2**31),
        ("text", "x" * 501),
        ("skills", ("",)),
        ("skills", tuple(str(number) for number in range(21))),
    ],
)
def test_a_search_outside_of_its_bounds_is_refused_by_field(field, value):
    with pytest.raises(SearchUnfit) as refused:
        SearchRequest(**{field: value})

    assert refused.value.facts == {"field": field}


def test_half_a_character_is_refused(tx):
    with pytest.raises(TextUnstorable):
        SearchRequest(text="\ud800")


# ---------------------------------------------------------------------------------------------------------------
# Over HTTP


@pytest.fixture
def http(services, db):
    """Anonymous calls and those of an agent, to discovery and to the registry behind it."""
    with db.transaction() as tx:
        ada = AgentKey.generate()
        indexed(tx, "Ada", skill("NLP", "text"), key=ada, domains=["Research"])
    routers = (routes.router, hansa.registry.routes.router)
    return {
        "nobody": identity.client_as(services, Actor(kind="anonymous"), *routers),
        "ada": identity.client_as(services, identity.as_agent(ada), *routers),
    }


def test_a_search_over_http_is_not_taken_for_an_agents_name(http):
    answer = http["nobody"].get("/api/agents/search?q=nlp&skill=NLP&skill=text&domain=6&verified=true&limit=5")

    body = answer.json()
    assert answer.status_code == 200
    assert [hit["name"] for hit in body["hits"]] == ["Ada"]
    assert re.fullmatch("bafkrei[a-z2-7]{52}", body["results_hash"])
    assert content_hash(rfc8785.dumps({"hits": body["hits"]})) == body["results_hash"]
    assert http["nobody"].get("/api/agents/ada").json()["agent"]["name"] == "Ada"


def test_get_and_post_of_the_registrys_path_are_the_same_query(http):
    got = http["nobody"].get("/api/agents/query?skill=NLP&min_reputation=0").json()

    posted = http["nobody"].post("/api/agents/query", json={"skills": ["nlp"], "min_reputation": 0}).json()

    assert posted["results_hash"] == got["results_hash"]
    assert posted["age_s"] > 0
    assert posted["hits"] == got["hits"] != []


def test_a_misspelt_filter_is_refused_instead_of_ignored(http):
    answer = http["nobody"].post("/api/agents/query", json={"min_reputatoin": 0.8})

    assert answer.status_code == 422


def test_a_search_out_of_bounds_is_a_named_problem(http):
    by_get = http["nobody"].get("/api/agents/search?limit=1000")
    by_post = http["nobody"].post("/api/agents/query", json={"limit": 1000})

    assert by_get.status_code == by_post.status_code == 422
    assert by_get.json()["code"] == by_post.json()["code"] == "search_unfit"
    assert by_get.json()["field"] == "limit"


def test_an_agent_reads_its_searches_again_and_a_stranger_does_not(http):
    query = http["ada"].get("/api/agents/search?q=nlp").json()["query"]

    mine = http["ada"].get(f"/api/queries/{query}")
    theirs = http["nobody"].get(f"/api/queries/{query}")

    assert mine.json()["query_params"] == {"text": "nlp", "limit": 20}
    assert [hit["name"] for hit in mine.json()["results"]["hits"]] == ["Ada"]
    assert [row["id"] for row in http["ada"].get("/api/queries").json()["items"]] == [query]
    assert (theirs.status_code, theirs.json()["code"]) == (404, QueryUnknown.code())
    assert from_json(http["nobody"].get("/api/recent-deals").content) == []

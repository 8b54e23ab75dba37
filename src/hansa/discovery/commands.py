"""What can be done in discovery: search, and keep the index."""

from datetime import datetime, timedelta

import rfc8785
from pydantic import TypeAdapter

from hansa.discovery.models import (
    Hit,
    RankingWeights,
    SearchRequest,
    SearchResult,
    StoredAnswer,
    Swept,
)
from hansa.discovery.queries import ranking_weights
from hansa.infra.db import JsonObject, Query, Tx
from hansa.kernel.dids import Did
from hansa.kernel.ids import NegotiationId, QueryId
from hansa.kernel.money import Credits
from hansa.registry.cards import content_hash

ANSWER_AGE_MAX = timedelta(seconds=10)
"""How old a result may be that is given to whoever asks the same."""
QUERY_LIFE = timedelta(days=90)
"""How long it is known who searched for what."""
ANSWER_LIFE = timedelta(hours=1)

HITS: TypeAdapter[list[Hit]] = TypeAdapter(list[Hit])

STORED_ANSWER = Query(
    StoredAnswer,
    """
    SELECT drawn.query, found.results_hash, found.results, found.age_s
      FROM (SELECT uuidv7() AS query) AS drawn
      LEFT JOIN LATERAL (
           SELECT answer.results_hash, kept.results,
                  extract(epoch FROM clock_timestamp() - answer.computed_at)::double precision AS age_s
             FROM discovery.answers AS answer
             JOIN discovery.results AS kept ON kept.results_hash = answer.results_hash
            WHERE answer.query_hash = %(query_hash)s
              AND answer.computed_at > clock_timestamp() - %(age_max)s::interval) AS found ON true
    """,
)

# Everything that hits are ordered by is rounded before it is weighed, so the order can be worked out again from the
# numbers that a hit shows. Trust fades as proof.towards_neutral has it; a call of that per agent cannot be inlined
# (it sets its search path) and would be most of the work of a search that many agents fit.
RANK = Query(
    Hit,
    """
    WITH words AS MATERIALIZED (
        SELECT DISTINCT parsed.token AS word,
               tsvector_to_array(to_tsvector('pg_catalog.english', parsed.token)) AS lexemes
          FROM ts_parse('default', coalesce(%(text)s, '')) AS parsed
    ),
    fitting AS (
        SELECT agent.*,
               round(now.trust::numeric, 4) AS trust_now,
               ts_rank(agent.document, websearch_to_tsquery('pg_catalog.english', %(text)s), 1) AS text_rank
          FROM discovery.agents AS agent
         CROSS JOIN LATERAL (
               SELECT 0.5 + (agent.trust - 0.5) * power(
                          agent.trust_decay_rate,
                          greatest(0, extract(epoch FROM %(at)s - agent.trust_as_of) / 86400)::double precision
                      ) AS trust) AS now
         WHERE agent.listed
           AND (%(text)s::text IS NULL
                OR agent.document @@ websearch_to_tsquery('pg_catalog.english', %(text)s))
           AND (%(skills)s::text[] IS NULL OR agent.skill_keys @> %(skills)s)
           AND (%(domain)s::integer IS NULL OR agent.domains @> ARRAY[%(domain)s::integer])
           AND (%(min_reputation)s::double precision IS NULL OR agent.reputation >= %(min_reputation)s)
           AND (%(min_trust)s::double precision IS NULL OR round(now.trust::numeric, 4) >= %(min_trust)s)
           AND (%(price_max)s::bigint IS NULL
                OR (agent.price_asset = %(asset)s AND agent.price_min <= %(price_max)s))
           AND (agent.verified OR NOT %(verified_only)s)
    ),
    compared AS (
        SELECT fitting.*,
               round(coalesce(fitting.text_rank / nullif(max(fitting.text_rank) OVER (), 0), 1)::numeric, 4)
                   AS relevance
          FROM fitting
    ),
    weighed AS (
        SELECT compared.*,
               weights.relevance * compared.relevance AS relevance_part,
               weights.trust * compared.trust_now AS trust_part,
               weights.usefulness * compared.usefulness / 100 AS usefulness_part
          FROM compared
         CROSS JOIN discovery.ranking_weights AS weights
    ),
    best AS (
        SELECT weighed.*, relevance_part + trust_part + usefulness_part AS score
          FROM weighed
         ORDER BY score DESC, lower_bound DESC, did COLLATE "C"
         LIMIT %(limit)s
    )
    SELECT best.did, best.slug, best.name, best.tagline, best.skills, best.status, best.verified,
           best.price_asset, best.price_min,
           best.reputation::double precision AS reputation,
           best.trust_now::double precision AS trust,
           best.usefulness::double precision AS usefulness,
           best.settlements,
           best.relevance::double precision AS relevance,
           best.score::double precision AS score,
           jsonb_build_object(
               'terms', ARRAY(SELECT words.word
                                FROM words
                               WHERE words.lexemes && tsvector_to_array(best.document)
                               ORDER BY words.word COLLATE "C"),
               'skills', ARRAY(SELECT skill.name
                                 FROM unnest(best.skills) WITH ORDINALITY AS skill (name, place)
                                WHERE lower(skill.name) = ANY (%(skills)s)
                                   OR EXISTS (SELECT
                                                FROM words
                                               WHERE words.lexemes && tsvector_to_array(
                                                         to_tsvector('pg_catalog.english', skill.name)))
                                ORDER BY skill.place),
               'relevance', best.relevance_part,
               'trust', best.trust_part,
               'usefulness', best.usefulness_part
           ) AS why
      FROM best
     ORDER BY best.score DESC, best.lower_bound DESC, best.did COLLATE "C"
    """,
)

KEEP_RESULTS = Query(
    int,
    """
    WITH kept AS (
        INSERT INTO discovery.results (results_hash, results)
        VALUES (%(results_hash)s, %(results)s)
        ON CONFLICT (results_hash) DO NOTHING
    )
    INSERT INTO discovery.answers (query_hash, results_hash, computed_at)
    VALUES (%(query_hash)s, %(results_hash)s, clock_timestamp())
    ON CONFLICT (query_hash) DO UPDATE
       SET results_hash = EXCLUDED.results_hash, computed_at = EXCLUDED.computed_at
    """,
)

# Nothing is returned: a stranger may add a query and see none.
REMEMBER_QUERY = Query(
    int,
    """
    INSERT INTO discovery.agent_queries
           (id, user_id, asked_by, query_params, capability_filter, results_hash, age_s)
    VALUES (%(id)s,
            coalesce(%(user)s::uuid, (SELECT own.user_id FROM identity.user_dids AS own WHERE own.did = %(asked_by)s)),
            %(asked_by)s, %(query_params)s, %(capability_filter)s, %(results_hash)s, %(age_s)s)
    """,
)

REFRESH_PROFILE = Query(str, "SELECT discovery.refresh_profile(%(agent)s)::text")

REFRESH_STANDING = Query(str, "SELECT discovery.refresh_standing(%(agent)s)::text")

NOTE_DEAL = Query(
    int,
    """
    INSERT INTO discovery.recent_deals (negotiation_id, agent_did, amount, settled_at)
    VALUES (%(negotiation)s, %(agent)s, %(amount)s, %(settled_at)s)
    ON CONFLICT (negotiation_id) DO NOTHING
    """,
)

REBUILD = Query(int, "SELECT discovery.rebuild()")

SET_RANKING_WEIGHTS = Query(
    int,
    """
    UPDATE discovery.ranking_weights
       SET relevance = %(relevance)s, trust = %(trust)s, usefulness = %(usefulness)s
    """,
)

SWEEP_QUERIES = Query(
    int,
    """
    DELETE FROM discovery.agent_queries
     WHERE id IN (SELECT id
                    FROM discovery.agent_queries
                   WHERE "timestamp" < clock_timestamp() - %(life)s::interval
                   ORDER BY "timestamp"
                   LIMIT %(limit)s)
    """,
)

SWEEP_ANSWERS = Query(
    int,
    """
    DELETE FROM discovery.answers
     WHERE query_hash IN (SELECT query_hash
                            FROM discovery.answers
                           WHERE computed_at < clock_timestamp() - %(life)s::interval
                           ORDER BY computed_at
                           LIMIT %(limit)s)
    """,
)

SWEEP_RESULTS = Query(
    int,
    """
    DELETE FROM discovery.results
     WHERE results_hash IN (SELECT kept.results_hash
                              FROM discovery.results AS kept
                             WHERE kept.computed_first_at < clock_timestamp() - %(life)s::interval
                               AND NOT EXISTS (SELECT
                                                 FROM discovery.agent_queries AS asked
                                                WHERE asked.results_hash = kept.results_hash)
                               AND NOT EXISTS (SELECT
                                                 FROM discovery.answers AS answer
                                                WHERE answer.results_hash = kept.results_hash)
                             ORDER BY kept.computed_first_at
                             LIMIT %(limit)s)
    """,
)

# The deal in the last place that is kept; with fewer deals there is none, and the comparison takes nothing away.
CAP_RECENT_DEALS = Query(
    int,
    """
    DELETE FROM discovery.recent_deals
     WHERE (settled_at, negotiation_id) < (SELECT last.settled_at, last.negotiation_id
                                             FROM discovery.recent_deals AS last
                                            ORDER BY last.settled_at DESC, last.negotiation_id DESC
                                           OFFSET discovery.recent_deals_max() - 1
                                            LIMIT 1)
    """,
)


def search(
    tx: Tx, request: SearchRequest, *, by: Did | None, at: datetime, age_max: timedelta = ANSWER_AGE_MAX
) -> SearchResult:
    """Find agents, the best first, and leave a row that says who asked what and got which result.

    A result younger than `age_max` that the same query got is given again, with its age. `by` is the DID proven by
    the request; None: nobody is known. Source: AINP discovery; Proof-of-Service registry agent_queries.
    """
    stored = tx.one(STORED_ANSWER, query_hash=canonical_hash(request.canonical()), age_max=age_max)
    if stored.results_hash is None or stored.results is None or stored.age_s is None:
        result = compute(tx, request, stored.query, at=at)
    else:
        result = SearchResult(
            query=stored.query,
            results_hash=stored.results_hash,
            age_s=stored.age_s,
            hits=HITS.validate_python(stored.results["hits"]),
        )
    remember(tx, request, result, by=by)
    return result


def compute(tx: Tx, request: SearchRequest, query: QueryId, *, at: datetime) -> SearchResult:
    """Rank the agents for a search and keep the result for others who ask the same."""
    hits = tx.all(
        RANK,
        text=request.words(),
        skills=request.skill_keys() or None,
        domain=request.domain,
        min_reputation=request.min_reputation,
        min_trust=request.min_trust,
        price_max=request.price_max,
        asset=request.asset,
        verified_only=request.verified_only,
        limit=request.limit,
        at=at,
    )
    document = results_document(hits)
    results_hash = canonical_hash(document)
    query_hash = canonical_hash(request.canonical())
    tx.run(KEEP_RESULTS, query_hash=query_hash, results_hash=results_hash, results=document)
    return SearchResult(query=query, results_hash=results_hash, age_s=0, hits=hits)


def remember(tx: Tx, request: SearchRequest, result: SearchResult, *, by: Did | None) -> None:
    tx.run(
        REMEMBER_QUERY,
        id=result.query,
        user=tx.actor.user,
        asked_by=by,
        query_params=request.canonical(),
        capability_filter=request.capability_filter(),
        results_hash=result.results_hash,
        age_s=result.age_s,
    )


def results_document(hits: list[Hit]) -> JsonObject:
    """Hits as the document that their hash is made of."""
    return {"hits": HITS.dump_python(hits, mode="json")}


def canonical_hash(document: JsonObject) -> str:
    """The CIDv1 of a document's canonical JSON (RFC 8785)."""
    return content_hash(rfc8785.dumps(document))


# ---------------------------------------------------------------------------------------------------------------
# Keeping the index


def refresh_profile(tx: Tx, agent: Did) -> None:
    """Bring the whole index entry of an agent to what the contexts below say now."""
    tx.one(REFRESH_PROFILE, agent=agent)


def refresh_standing(tx: Tx, agent: Did) -> None:
    """Bring reputation, trust, usefulness and settlements of an index entry to what they are now.

    An agent that is not in the index yet gets all of it with its registration.
    """
    tx.one(REFRESH_STANDING, agent=agent)


def note_deal(tx: Tx, negotiation: NegotiationId, *, agent: Did, amount: Credits, settled_at: datetime) -> None:
    """Put a settled deal among the recent ones, once."""
    tx.run(NOTE_DEAL, negotiation=negotiation, agent=agent, amount=amount, settled_at=settled_at)


def rebuild(tx: Tx) -> int:
    """Work the whole index out anew from the contexts below; returns how many agents there are."""
    return tx.one(REBUILD)


def set_ranking_weights(tx: Tx, weights: RankingWeights) -> RankingWeights:
    """Change what counts how much; answers that are younger than ten seconds still have the order of before.

    Raises RankingWeightsUnfit.
    """
    tx.run(SET_RANKING_WEIGHTS, relevance=weights.relevance, trust=weights.trust, usefulness=weights.usefulness)
    return ranking_weights(tx)


def sweep(tx: Tx, *, limit: int = 1000) -> Swept:
    """Forget queries after 90 days, answers after an hour, and results that neither names; at most `limit` of each."""
    return Swept(
        queries=tx.run(SWEEP_QUERIES, life=QUERY_LIFE, limit=limit),
        answers=tx.run(SWEEP_ANSWERS, life=ANSWER_LIFE, limit=limit),
        results=tx.run(SWEEP_RESULTS, life=QUERY_LIFE, limit=limit),
    )


def cap_recent_deals(tx: Tx) -> int:
    """Keep the newest deals only; returns how many went."""
    return tx.run(CAP_RECENT_DEALS)

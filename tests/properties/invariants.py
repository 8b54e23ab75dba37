"""What must be true of the database whatever was done to it: each check is a query for rows that must not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

CHECKS = {
    "the books have no discrepancy": "SELECT kind, subject, finding FROM credits.discrepancies",
    "all postings sum to zero": "SELECT sum(amount) FROM credits.postings HAVING sum(amount) <> 0",
    "no account is below zero, none has reserved what it has not": """
        SELECT account, balance, reserved
          FROM credits.credit_accounts
         WHERE kind = 'agent' AND (balance < 0 OR reserved < 0 OR reserved > balance)
        UNION ALL
        SELECT account, balance, 0 FROM credits.system_balances WHERE account <> 'system:mint' AND balance < 0
    """,
    "a hold was made by one movement, and ended by one if it has ended": """
        SELECT hold.id, hold.state, array_agg(movement.tx_type ORDER BY movement.created_at)
          FROM credits.holds AS hold
          LEFT JOIN credits.credit_transactions AS movement ON movement.hold_id = hold.id
         GROUP BY hold.id
        HAVING array_agg(movement.tx_type::text ORDER BY movement.tx_type)
               IS DISTINCT FROM CASE hold.state WHEN 'held' THEN '{reserve}'
                                                WHEN 'captured' THEN '{reserve,spend}'
                                                ELSE '{reserve,release}' END::text[]
    """,
    "states go only where the drawing leads": """
        SELECT subject, was, became, step
          FROM watch.changes
         WHERE was IS DISTINCT FROM became
           AND (thing, coalesce(was, ''), became) NOT IN (
               ('negotiations', '', 'initiated'),
               ('negotiations', 'initiated', 'proposed'), ('negotiations', 'proposed', 'counter_proposed'),
               ('negotiations', 'initiated', 'accepted'), ('negotiations', 'proposed', 'accepted'),
               ('negotiations', 'counter_proposed', 'accepted'),
               ('negotiations', 'initiated', 'rejected'), ('negotiations', 'proposed', 'rejected'),
               ('negotiations', 'counter_proposed', 'rejected'),
               ('negotiations', 'initiated', 'expired'), ('negotiations', 'proposed', 'expired'),
               ('negotiations', 'counter_proposed', 'expired'), ('negotiations', 'accepted', 'expired'),
               ('groups', '', 'open'), ('groups', 'open', 'agreed'), ('groups', 'open', 'rejected'),
               ('groups', 'open', 'expired'),
               ('holds', '', 'held'), ('holds', 'held', 'captured'), ('holds', 'held', 'released'),
               ('holds', 'held', 'expired'))
    """,
    "each change of a row goes on where the one before it ended": """
        SELECT subject, before, was, step
          FROM (SELECT subject, was, step, lag(became) OVER (PARTITION BY thing, subject ORDER BY id) AS before
                  FROM watch.changes) AS history
         WHERE was IS DISTINCT FROM before
    """,
    "nothing is done when its time is over, nothing expires before": """
        SELECT subject, was, became, step
          FROM watch.changes
         WHERE was IS DISTINCT FROM became
           AND (became <> 'expired' AND was NOT IN ('accepted') AND late AND NOT (thing = 'holds' AND became = 'released')
                OR became = 'expired' AND was <> 'accepted' AND early)
    """,
    "an accepted deal ends only when its money went back": """
        SELECT deal.id, hold.state
          FROM negotiation.negotiations AS deal
          JOIN credits.holds AS hold ON hold.id = deal.hold_id
         WHERE deal.state = 'expired' AND hold.state NOT IN ('expired', 'released')
            OR deal.state NOT IN ('accepted', 'expired')
    """,
    "rounds are 1 to n without a gap, within the limit, by the parties in turns": """
        SELECT deal.id, deal.round, deal.max_rounds, array_agg(round.n ORDER BY round.n)
          FROM negotiation.negotiations AS deal
          LEFT JOIN negotiation.rounds AS round ON round.negotiation_id = deal.id
         GROUP BY deal.id
        HAVING count(*) <> deal.round OR max(round.n) <> deal.round OR min(round.n) <> 1
            OR deal.round > deal.max_rounds
            OR bool_or(round.by_did <> CASE round.n % 2 WHEN 1 THEN deal.initiator_did ELSE deal.responder_did END)
            OR deal.turn_did <> CASE deal.round % 2 WHEN 1 THEN deal.responder_did ELSE deal.initiator_did END
    """,
    "the state of an open negotiation says how many rounds there were": """
        SELECT id, state, round
          FROM negotiation.negotiations
         WHERE state = 'initiated' AND round <> 1 OR state = 'proposed' AND round <> 2
            OR state = 'counter_proposed' AND round < 3
    """,
    "the proposal on the table is the last round, and what was agreed is what was on the table": """
        SELECT deal.id, deal.current_proposal, deal.final_proposal
          FROM negotiation.negotiations AS deal
          JOIN negotiation.rounds AS round ON round.negotiation_id = deal.id AND round.n = deal.round
         WHERE (deal.current_proposal ->> 'price')::bigint <> round.price
            OR deal.current_proposal ->> 'by' <> round.by_did
            OR deal.final_proposal <> deal.current_proposal
    """,
    "the document of an ended negotiation has all its rounds": """
        SELECT id, round, jsonb_array_length(rounds)
          FROM negotiation.negotiations
         WHERE state IN ('accepted', 'rejected', 'expired') AND jsonb_array_length(rounds) <> round
    """,
    "an agreement and a hold of exactly its price are one": """
        SELECT deal.id, deal.state, deal.accepted_at, hold.amount, deal.final_proposal ->> 'price'
          FROM negotiation.negotiations AS deal
          FULL JOIN (SELECT * FROM credits.holds WHERE purpose_kind = 'negotiation') AS hold
                 ON hold.purpose_id = deal.id::text
         WHERE (deal.accepted_at IS NULL) <> (hold.id IS NULL)
            OR deal.id IS NULL
            OR hold.id IS DISTINCT FROM deal.hold_id
            OR hold.amount <> (deal.final_proposal ->> 'price')::bigint
            OR hold.account <> deal.initiator_did
    """,
    "a deal's hold was paid out when the deal was settled, and only then": """
        SELECT hold.id, hold.state, settlement.amount
          FROM credits.holds AS hold
          LEFT JOIN negotiation.settlements AS settlement ON settlement.negotiation_id::text = hold.purpose_id
         WHERE (hold.state = 'captured') <> (settlement.negotiation_id IS NOT NULL)
            OR settlement.amount <> hold.amount
    """,
    "a settlement paid the whole price to whom it was agreed": """
        SELECT deal.id, paid.account, paid.amount, owed.amount
          FROM negotiation.settlements AS settlement
          JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
         CROSS JOIN LATERAL (
               SELECT posting.account, sum(posting.amount) AS amount
                 FROM credits.postings AS posting
                WHERE posting.transaction_id = settlement.movement_id AND posting.amount > 0
                GROUP BY posting.account) AS paid
         CROSS JOIN LATERAL (
               SELECT sum(share.amount) AS amount
                 FROM (VALUES (deal.responder_did, settlement.agent_units),
                              (settlement.broker_did, settlement.broker_units),
                              (settlement.validator_did, settlement.validator_units),
                              ('system:pool', settlement.pool_units)) AS share (account, amount)
                WHERE share.account = paid.account) AS owed
         WHERE paid.amount IS DISTINCT FROM owed.amount
    """,
    "what an intent's deals commit is within its budget": """
        SELECT intent.id, intent.budget, sum(hold.amount)
          FROM negotiation.intents AS intent
          JOIN negotiation.negotiations AS deal ON deal.intent_id = intent.id
          JOIN credits.holds AS hold ON hold.id = deal.hold_id AND hold.state IN ('held', 'captured')
         GROUP BY intent.id
        HAVING sum(hold.amount) > intent.budget
    """,
    "a settled deal left one work record": """
        SELECT settlement.negotiation_id
          FROM negotiation.settlements AS settlement
          FULL JOIN (SELECT subject_id, count(*) AS n FROM proof.work_history_logs
                      WHERE subject_kind = 'negotiation' GROUP BY subject_id) AS work
                 ON work.subject_id = settlement.negotiation_id::text
         WHERE work.n IS DISTINCT FROM 1 OR settlement.negotiation_id IS NULL
    """,
    "proposals of a group are 1 to n without a gap, and none is by who made the last": """
        SELECT team.id, team.round
          FROM negotiation.groups AS team
          LEFT JOIN negotiation.group_proposals AS proposal ON proposal.group_id = team.id
         GROUP BY team.id
        HAVING count(proposal.n) <> team.round OR coalesce(max(proposal.n), 0) <> team.round
            OR team.round > team.max_rounds
    """,
    "an agreed group bound everybody at the price of the part approved": """
        SELECT team.id, deal.worker_did, part.units, sealed.final_proposal ->> 'price'
          FROM negotiation.groups AS team
          LEFT JOIN negotiation.group_deals AS deal ON deal.group_id = team.id
          LEFT JOIN negotiation.negotiations AS sealed ON sealed.id = deal.negotiation_id
          LEFT JOIN negotiation.group_parts AS part
                 ON part.group_id = team.id AND part.n = team.on_table AND part.worker_did = deal.worker_did
         WHERE (team.state = 'agreed') <> (deal.group_id IS NOT NULL)
            OR deal.group_id IS NOT NULL
               AND ((sealed.final_proposal ->> 'price')::bigint IS DISTINCT FROM part.units
                    OR sealed.responder_did <> deal.worker_did OR sealed.initiator_did <> team.payer_did)
    """,
    "an agent has one stake at most": """
        SELECT account, count(*) FROM credits.holds
         WHERE purpose_kind = 'stake' AND state = 'held' GROUP BY account HAVING count(*) > 1
    """,
    "no account paid more in a day, or at once, than it may": """
        SELECT own.account, date_trunc('day', posting.created_at, 'UTC'), -sum(posting.amount)
          FROM credits.account_limits AS own
          JOIN credits.postings AS posting ON posting.account = own.account
         WHERE posting.tx_type = 'spend' AND posting.bucket = 'available'
         GROUP BY own.account, own.day_max, own.transfer_max, 2
        HAVING -sum(posting.amount) > own.day_max OR -min(posting.amount) > own.transfer_max
    """,
}
"""Title -> rows that must not exist."""


def against_itself(owner: psycopg.Connection[Any]) -> Iterator[str]:
    """Every way in which the database contradicts itself."""
    for title, query in CHECKS.items():
        for row in owner.execute(query).fetchall():
            yield f"{title}: {', '.join(map(str, row))}"

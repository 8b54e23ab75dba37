-- verify: writes
-- The rules are tried on groups of four made in this transaction, which is undone.
SET LOCAL hansa.actor_kind = 'system';

CREATE FUNCTION pg_temp.member(p_number integer)
RETURNS text
LANGUAGE sql
AS $$
    SELECT format('did:web:member%s.verify.invalid', p_number)
$$;

WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet FROM generate_series(1, 4)) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT pg_temp.member(row_number() OVER ()::integer), 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(), '', '',
       '', translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '', 60,
       clock_timestamp(), person.id
  FROM person;
INSERT INTO negotiation.intents (id, requester_did, description, budget)
VALUES ('ffffffff-ffff-4fff-bfff-ffffffffffe1', pg_temp.member(1), 'verify', 1000);

-- What a rule says when these members approve; the first pays, the second proposes and is paid, the third is paid too.
CREATE FUNCTION pg_temp.agreed(p_rule negotiation.voting_rule, p_weights numeric[], p_approving integer[])
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    v_group uuid;
BEGIN
    v_group := (negotiation.open_group(
        'ffffffff-ffff-4fff-bfff-ffffffffffe1', pg_temp.member(1), p_rule,
        ARRAY[pg_temp.member(1), pg_temp.member(2), pg_temp.member(3), pg_temp.member(4)], p_weights, 10, '1 hour', NULL)).id;
    PERFORM negotiation.propose_to_group(
        v_group, pg_temp.member(2), ARRAY[pg_temp.member(2), pg_temp.member(3)], ARRAY[10, 20], NULL, NULL, '{}');
    PERFORM negotiation.vote_in_group(v_group, pg_temp.member(number), 1, true)
       FROM unnest(p_approving) AS approving (number)
      WHERE number <> 2;
    RETURN (SELECT tally.agreed FROM negotiation.group_tally(v_group) AS tally);
END
$$;

SELECT 'each rule says what AINP says, and never without the payer' AS "check",
       bool_and(tried.agreed = given.agreed) AS ok,
       string_agg(format('%s by %s: %s', given.rule, given.approving, tried.agreed), '; ')
           FILTER (WHERE tried.agreed IS DISTINCT FROM given.agreed) AS detail
  FROM (VALUES ('unanimous', '{1,1,1,1}'::numeric[], '{1,2,3}'::integer[], false),
               ('unanimous', '{1,1,1,1}', '{1,2,3,4}', true),
               ('majority', '{1,1,1,1}', '{1,2}', false),
               ('majority', '{1,1,1,1}', '{1,2,3}', true),
               ('majority', '{1,1,1,1}', '{2,3,4}', false),
               ('trust_weighted', '{0.3,0.3,0.2,0.4}', '{1,2}', false),
               ('trust_weighted', '{0.3,0.3001,0.2,0.4}', '{1,2}', true),
               ('trust_weighted', '{0.05,1,1,1}', '{2,3,4}', false)) AS given (rule, weights, approving, agreed)
 CROSS JOIN LATERAL pg_temp.agreed(given.rule::negotiation.voting_rule, given.weights, given.approving) AS tried (agreed);
SELECT 'every agreed group binds whom its vote binds, and every other group nobody' AS "check",
       coalesce(bool_and(bound.workers = CASE team.state WHEN 'agreed' THEN tally.bound ELSE '{}' END
                         AND (team.state <> 'agreed' OR tally.agreed)), true) AS ok,
       string_agg(team.id::text, ', ')
           FILTER (WHERE bound.workers IS DISTINCT FROM CASE team.state WHEN 'agreed' THEN tally.bound ELSE '{}' END) AS detail
  FROM negotiation.groups AS team
 CROSS JOIN LATERAL negotiation.group_tally(team.id) AS tally
 CROSS JOIN LATERAL (SELECT coalesce(array_agg(deal.worker_did ORDER BY deal.worker_did), '{}') AS workers
                       FROM negotiation.group_deals AS deal
                      WHERE deal.group_id = team.id) AS bound;
SELECT 'the price of every proposal of a group is the sum of its parts' AS "check",
       coalesce(bool_and(proposal.price = parts.units), true) AS ok
  FROM negotiation.group_proposals AS proposal
 CROSS JOIN LATERAL (SELECT coalesce(sum(part.units), 0) AS units
                       FROM negotiation.group_parts AS part
                      WHERE part.group_id = proposal.group_id AND part.n = proposal.n) AS parts;
SELECT 'the application cannot change or delete what a group proposed, voted and agreed' AS "check",
       NOT bool_or(has_table_privilege('hansa_app', 'negotiation.' || kept.name, right_to.change)) AS ok
  FROM unnest('{group_proposals,group_parts,group_votes,group_deals}'::text[]) AS kept (name)
 CROSS JOIN unnest('{UPDATE,DELETE,TRUNCATE}'::text[]) AS right_to (change);
SELECT 'a member votes once in a round' AS "check", count(*) = 1 AS ok
  FROM pg_constraint
 WHERE conname = 'one_vote_a_round'
   AND contype = 'p'
   AND conrelid = to_regclass('negotiation.group_votes');

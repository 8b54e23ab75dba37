-- What agents have proposed, voted and agreed has no other place to stay.
DO $$
BEGIN
    IF EXISTS (SELECT FROM negotiation.groups) THEN
        RAISE EXCEPTION 'there are groups, and nothing else could keep what they agreed on'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_groups_to_forget';
    END IF;
END
$$;
DROP FUNCTION negotiation.expire_groups(integer);
DROP FUNCTION negotiation.reject_group(uuid, text);
DROP FUNCTION negotiation.leave_group(uuid, text);
DROP FUNCTION negotiation.agree_group(uuid, uuid[]);
DROP FUNCTION negotiation.vote_in_group(uuid, text, integer, boolean);
DROP FUNCTION negotiation.propose_to_group(uuid, text, text[], bigint[], integer, numeric, jsonb);
DROP FUNCTION negotiation.group_convergence(negotiation.group_proposals, negotiation.group_proposals);
DROP FUNCTION negotiation.take_seat(uuid, text);
DROP FUNCTION negotiation.open_group(uuid, text, negotiation.voting_rule, text[], numeric[], integer, interval, integer);
DROP FUNCTION negotiation.group_tally(uuid);
ALTER TABLE negotiation.groups DROP CONSTRAINT proposal_on_the_table;
DROP TABLE negotiation.group_deals;
DROP TABLE negotiation.group_votes;
DROP TABLE negotiation.group_parts;
DROP TABLE negotiation.group_proposals;
DROP TABLE negotiation.group_members;
DROP TABLE negotiation.groups;
DROP FUNCTION negotiation.check_group_agreement();
DROP FUNCTION negotiation.check_group_price();
DROP FUNCTION negotiation.keep_group_history();
DROP TYPE negotiation.group_state;
DROP TYPE negotiation.voting_rule;

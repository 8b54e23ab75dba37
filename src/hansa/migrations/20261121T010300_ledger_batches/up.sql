CREATE TYPE credits.operation_kind AS ENUM ('deposit', 'reserve', 'release', 'capture');
COMMENT ON TYPE credits.operation_kind IS 'What a batch can do to the books: each is one movement.';

CREATE TYPE credits.operation AS (
    kind credits.operation_kind,
    account text,
    amount bigint,
    purpose_kind text,
    purpose_id text,
    expires_at timestamptz,
    hold uuid,
    state credits.hold_state,
    accounts text[],
    amounts bigint[],
    source text,
    key text,
    reason text,
    intent uuid
);
COMMENT ON TYPE credits.operation IS 'One operation of a batch. deposit: source, account, amount (units), key, reason. reserve: account, amount, purpose, expires_at. release: hold, state. capture: hold, accounts and amounts of the shares. intent where there is one.';

CREATE TYPE credits.entry AS (
    n integer,
    operation credits.operation,
    movement uuid,
    at timestamptz,
    refusal text,
    message text,
    facts jsonb
);
COMMENT ON TYPE credits.entry IS 'One operation of a batch as it was decided: completed from its hold, with its movement, or with the name of the constraint that refused it, the words and the facts.';

-- Holds in the order of their ids, then accounts in the order of their names: the single routines go the same way, so
-- nobody waits for a batch in a circle. An account that will be paid for the first time appears before any is locked.
CREATE FUNCTION credits.lock_batch(p_operations credits.operation[])
RETURNS TABLE (account text, available bigint)
LANGUAGE plpgsql SET search_path = ''
AS $$
#variable_conflict use_column
BEGIN
    PERFORM
       FROM credits.holds AS hold
      WHERE hold.id IN (SELECT operation.hold FROM unnest(p_operations) AS operation)
      ORDER BY hold.id
        FOR NO KEY UPDATE;

    INSERT INTO credits.credit_accounts (account)
    SELECT DISTINCT paid.account
      FROM (SELECT operation.account
              FROM unnest(p_operations) AS operation
             WHERE operation.kind = 'deposit'
               AND operation.amount > 0
               AND NOT EXISTS (SELECT FROM credits.credit_transactions AS made WHERE made.key = operation.key)
             UNION ALL
            SELECT unnest(operation.accounts)
              FROM unnest(p_operations) AS operation
              JOIN credits.holds AS hold ON hold.id = operation.hold
             WHERE operation.kind = 'capture'
               AND hold.state = 'held'
               AND hold.expires_at > clock_timestamp()
               AND credits.are_the_whole(operation.amounts, hold.amount)) AS paid
     WHERE NOT EXISTS (SELECT FROM credits.credit_accounts AS known WHERE known.account = paid.account)
     ORDER BY paid.account
    ON CONFLICT (account) DO NOTHING;

    RETURN QUERY
    SELECT locked.account, locked.balance - locked.reserved
      FROM credits.credit_accounts AS locked
     WHERE locked.kind = 'agent'
       AND locked.account IN (
           SELECT unnest(ARRAY[operation.account, operation.source] || operation.accounts)
             FROM unnest(p_operations) AS operation
            UNION ALL
           SELECT hold.account
             FROM unnest(p_operations) AS operation
             JOIN credits.holds AS hold ON hold.id = operation.hold)
     ORDER BY locked.account
       FOR NO KEY UPDATE;
END
$$;
COMMENT ON FUNCTION credits.lock_batch IS 'Lock every hold and account that a batch touches, in an order without circles; what the accounts have available.';

CREATE FUNCTION credits.are_the_whole(p_amounts bigint[], p_whole bigint)
RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT coalesce(sum(share), 0) = p_whole AND coalesce(bool_and(share > 0), true) FROM unnest(p_amounts) AS share
$$;
COMMENT ON FUNCTION credits.are_the_whole IS 'Whether shares are greater than zero and sum to a whole.';

-- One pass in memory. What an operation finds is what the ones before it left: the available money of each account,
-- and who was first with a hold, a purpose or a key (`taken`).
CREATE FUNCTION credits.decide_batch(p_operations credits.operation[])
RETURNS credits.entry[]
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_names text[];
    v_available bigint[];
    v_taken text[] := array_fill(''::text, ARRAY[cardinality(p_operations)]);
    v_seen record;
    v_made credits.operation;
    v_entry credits.entry;
    v_entries credits.entry[] := array_fill(NULL::credits.entry, ARRAY[cardinality(p_operations)]);
    v_payees text[];
    v_payments bigint[];
    v_place integer;
BEGIN
    SELECT array_agg(locked.account), array_agg(locked.available)
      INTO v_names, v_available
      FROM credits.lock_batch(p_operations) AS locked;
    FOR v_seen IN
        SELECT asked.n, asked.kind, asked.amount, hold.id AS hold, hold.account AS holder, hold.amount AS held,
               hold.purpose_kind, hold.purpose_id, hold.expires_at,
               coalesce(hold.state::text, CASE
                   WHEN asked.kind = 'reserve' AND other.id IS NOT NULL
                     OR asked.kind = 'deposit' AND made.id IS NOT NULL THEN 'made' END) AS found,
               dense_rank() OVER (ORDER BY asked.hold, asked.purpose_kind, asked.purpose_id, asked.key) AS thing,
               array_position(v_names, coalesce(hold.account, asked.account)) AS place
          FROM unnest(p_operations) WITH ORDINALITY AS asked (
               kind, account, amount, purpose_kind, purpose_id, expires_at, hold, state, accounts, amounts, source, key,
               reason, intent, n)
          LEFT JOIN credits.holds AS hold ON hold.id = asked.hold
          LEFT JOIN credits.holds AS other
                 ON other.purpose_kind = asked.purpose_kind AND other.purpose_id = asked.purpose_id
          LEFT JOIN credits.credit_transactions AS made ON made.key = asked.key
         ORDER BY asked.n
    LOOP
        v_made := p_operations[v_seen.n];
        v_payees := '{}';
        v_entry := (v_seen.n, NULL, NULL, clock_timestamp(), NULL, NULL, NULL);
        IF v_taken[v_seen.thing] <> '' THEN
            v_seen.found := v_taken[v_seen.thing];
        END IF;
        IF v_seen.kind = 'reserve' THEN
            IF v_made.amount > coalesce(v_available[v_seen.place], 0) AND v_made.amount > 0 THEN
                v_entry.refusal := 'funds_available_to_reserve';
                v_entry.message := format('the account has %s available and %s is needed',
                                          coalesce(v_available[v_seen.place], 0), v_made.amount);
                v_entry.facts := jsonb_build_object(
                    'available', coalesce(v_available[v_seen.place], 0), 'needed', v_made.amount,
                    'missing', v_made.amount - coalesce(v_available[v_seen.place], 0));
            ELSIF v_made.amount <= 0 THEN
                v_entry.refusal := 'hold_amount_positive';
            ELSIF v_seen.found IS NOT NULL THEN
                v_entry.refusal := 'one_hold_per_purpose';
            ELSE
                v_available[v_seen.place] := v_available[v_seen.place] - v_made.amount;
                v_taken[v_seen.thing] := 'made';
                v_made.hold := uuidv7();
                v_made.key := 'reserve:' || v_made.hold;
                v_made.reason := 'held for ' || v_made.purpose_kind || ' ' || v_made.purpose_id;
            END IF;
        ELSIF v_seen.kind = 'deposit' THEN
            IF v_made.amount <= 0 THEN
                v_entry.refusal := 'hold_amount_positive';
            ELSIF v_seen.found IS NOT NULL THEN
                v_entry.refusal := 'one_movement_per_key';
            ELSE
                v_payees := ARRAY[v_made.source, v_made.account];
                v_payments := ARRAY[-v_made.amount, v_made.amount];
                v_taken[v_seen.thing] := 'made';
            END IF;
        ELSIF v_seen.hold IS NULL THEN
            v_entry.refusal := 'hold_known';
            v_entry.message := format('there is no hold %s', v_made.hold);
        ELSIF v_seen.found <> 'held' THEN
            v_entry.refusal := 'hold_ends_once';
            v_entry.message := format('hold %s is already %s', v_seen.hold, v_seen.found);
            v_entry.facts := jsonb_build_object('state', v_seen.found);
        ELSIF v_seen.kind = 'capture' AND NOT credits.are_the_whole(v_made.amounts, v_seen.held) THEN
            v_entry.refusal := 'shares_are_the_whole_hold';
            v_entry.message := format('shares %s are not the %s held', v_made.amounts, v_seen.held);
        ELSIF v_seen.kind = 'capture' AND v_seen.expires_at <= v_entry.at THEN
            v_entry.refusal := 'hold_alive_to_capture';
            v_entry.message := format('hold %s expired at %s', v_seen.hold, v_seen.expires_at);
        ELSE
            v_made.account := v_seen.holder;
            v_made.amount := v_seen.held;
            v_made.key := v_seen.kind || ':' || v_seen.hold;
            IF v_seen.kind = 'release' THEN
                v_made.reason := v_made.state || ' ' || v_seen.purpose_kind || ' ' || v_seen.purpose_id;
                v_available[v_seen.place] := v_available[v_seen.place] + v_seen.held;
            ELSE
                v_made.state := 'captured';
                v_made.reason := 'settled ' || v_seen.purpose_kind || ' ' || v_seen.purpose_id;
                v_payees := v_made.accounts;
                v_payments := v_made.amounts;
            END IF;
            v_taken[v_seen.thing] := v_made.state;
        END IF;
        -- System accounts are not among the names: they keep no balance.
        FOR v_share IN 1..cardinality(v_payees) LOOP
            v_place := array_position(v_names, v_payees[v_share]);
            IF v_place IS NOT NULL THEN
                v_available[v_place] := v_available[v_place] + v_payments[v_share];
            END IF;
        END LOOP;
        IF v_entry.refusal IS NULL THEN
            v_entry.movement := uuidv7();
        END IF;
        v_entry.operation := v_made;
        v_entries[v_seen.n] := v_entry;
    END LOOP;
    RETURN v_entries;
END
$$;
COMMENT ON FUNCTION credits.decide_batch IS 'What each operation of a batch does or is refused with, in their order; everything it touches is locked, nothing is written.';

-- Rows of a unique key go in the order of the key: two batches that insert the same ones wait for each other once.
CREATE FUNCTION credits.write_batch(p_entries credits.entry[])
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO credits.holds (id, account, amount, purpose_kind, purpose_id, created_at, expires_at)
    SELECT (made.operation).hold, (made.operation).account, (made.operation).amount, (made.operation).purpose_kind,
           (made.operation).purpose_id, made.at, (made.operation).expires_at
      FROM unnest(p_entries) AS made
     WHERE made.movement IS NOT NULL
       AND (made.operation).kind = 'reserve'
     ORDER BY (made.operation).purpose_kind, (made.operation).purpose_id;

    UPDATE credits.holds AS ended
       SET state = (made.operation).state, ended_at = made.at
      FROM unnest(p_entries) AS made
     WHERE made.movement IS NOT NULL
       AND (made.operation).kind IN ('release', 'capture')
       AND ended.id = (made.operation).hold;

    INSERT INTO credits.credit_transactions (id, tx_type, key, intent_id, hold_id, reason, created_at)
    SELECT made.movement,
           CASE (made.operation).kind WHEN 'capture' THEN 'spend'::credits.tx_type
                                      ELSE (made.operation).kind::text::credits.tx_type END,
           (made.operation).key, (made.operation).intent, (made.operation).hold, (made.operation).reason, made.at
      FROM unnest(p_entries) AS made
     WHERE made.movement IS NOT NULL
     ORDER BY (made.operation).key;

    WITH written AS (
        INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount, created_at)
        SELECT made.movement, posting.line, posting.account, posting.bucket, posting.tx_type, posting.amount, made.at
          FROM unnest(p_entries) AS made
         CROSS JOIN LATERAL (
               SELECT line::smallint, account, bucket::credits.bucket, tx_type::credits.tx_type, amount
                 FROM (VALUES
                       ('reserve', 1, (made.operation).account, 'available', 'reserve', -(made.operation).amount),
                       ('reserve', 2, (made.operation).account, 'reserved', 'reserve', (made.operation).amount),
                       ('release', 1, (made.operation).account, 'reserved', 'release', -(made.operation).amount),
                       ('release', 2, (made.operation).account, 'available', 'release', (made.operation).amount),
                       ('deposit', 1, (made.operation).source, 'available', 'deposit', -(made.operation).amount),
                       ('deposit', 2, (made.operation).account, 'available', 'deposit', (made.operation).amount),
                       ('capture', 1, (made.operation).account, 'reserved', 'spend', -(made.operation).amount)
                      ) AS line (kind, line, account, bucket, tx_type, amount)
                WHERE kind::credits.operation_kind = (made.operation).kind
                UNION ALL
               SELECT share.place + 1, share.account, 'available', 'earn', share.amount
                 FROM unnest((made.operation).accounts, (made.operation).amounts) WITH ORDINALITY
                      AS share (account, amount, place)
                WHERE (made.operation).kind = 'capture') AS posting
         WHERE made.movement IS NOT NULL
         ORDER BY made.n, posting.line
        RETURNING account, bucket, tx_type, amount
    )
    UPDATE credits.credit_accounts AS changed
       SET balance = changed.balance + delta.balance,
           reserved = changed.reserved + delta.reserved,
           earned = changed.earned + delta.earned,
           spent = changed.spent + delta.spent,
           updated_at = clock_timestamp()
      FROM (SELECT posting.account,
                   sum(posting.amount)::bigint AS balance,
                   coalesce(sum(posting.amount) FILTER (WHERE posting.bucket = 'reserved'), 0)::bigint AS reserved,
                   coalesce(sum(posting.amount) FILTER (WHERE posting.tx_type = 'earn'), 0)::bigint AS earned,
                   coalesce(-sum(posting.amount) FILTER (WHERE posting.tx_type = 'spend'), 0)::bigint AS spent
              FROM written AS posting
             GROUP BY posting.account) AS delta
     WHERE changed.account = delta.account
       AND changed.kind = 'agent';
END
$$;
COMMENT ON FUNCTION credits.write_batch IS 'Write what was decided: holds, movements, postings, and each account once.';

-- Somebody else may make the same hold or movement between the decision and the writing. Then the batch is decided
-- again: by now the other one has committed and is seen.
CREATE FUNCTION credits.apply_batch(p_operations credits.operation[])
RETURNS SETOF credits.entry
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_entries credits.entry[];
BEGIN
    FOR v_attempt IN 1..10 LOOP
        BEGIN
            v_entries := credits.decide_batch(p_operations);
            PERFORM credits.write_batch(v_entries);
            RETURN QUERY SELECT * FROM unnest(v_entries);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            IF v_attempt = 10 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION credits.apply_batch IS 'Do many operations in one transaction, in their order, each with its own movement or its own refusal.';

-- One check for each movement instead of one for each posting: line 1 comes with all the others, or not at all.
CREATE FUNCTION credits.refuse_part()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT FROM written GROUP BY written.transaction_id HAVING NOT bool_or(written.line = 1)) THEN
        RAISE EXCEPTION 'the postings of a movement are written by one statement'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'movement_written_whole';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credits.refuse_part IS 'All postings of a movement come with its line 1, so that the check of line 1 at the commit sees all of them.';
CREATE TRIGGER movement_written_whole AFTER INSERT ON credits.postings
    REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_part();

DROP TRIGGER postings_sum_to_zero ON credits.postings;
CREATE CONSTRAINT TRIGGER postings_sum_to_zero AFTER INSERT ON credits.postings
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.line = 1) EXECUTE FUNCTION credits.check_balanced();

-- One pass over the movements instead of one for each hold.
CREATE OR REPLACE VIEW credits.discrepancies WITH (security_invoker) AS
SELECT 'movement' AS kind, posting.transaction_id::text AS subject,
       'postings sum to ' || sum(posting.amount) AS finding
  FROM credits.postings AS posting
 GROUP BY posting.transaction_id
HAVING sum(posting.amount) <> 0
UNION ALL
SELECT 'account', account.account,
       format('row says balance %s reserved %s earned %s spent %s, postings say %s %s %s %s',
              account.balance, account.reserved, account.earned, account.spent,
              summed.balance, summed.reserved, summed.earned, summed.spent)
  FROM credits.credit_accounts AS account
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(posting.amount), 0) AS balance,
              coalesce(sum(posting.amount) FILTER (WHERE posting.bucket = 'reserved'), 0) AS reserved,
              coalesce(sum(posting.amount) FILTER (WHERE posting.tx_type = 'earn'
                                                      OR posting.tx_type >= 'pou_compute'), 0) AS earned,
              coalesce(-sum(posting.amount) FILTER (WHERE posting.tx_type = 'spend'), 0) AS spent
         FROM credits.postings AS posting
        WHERE posting.account = account.account) AS summed
 WHERE account.kind = 'agent'
   AND (account.balance, account.reserved, account.earned, account.spent)
       IS DISTINCT FROM (summed.balance, summed.reserved, summed.earned, summed.spent)
UNION ALL
SELECT 'hold', hold.id::text,
       format('hold is %s with %s, its postings keep %s reserved', hold.state, hold.amount, coalesce(kept.reserved, 0))
  FROM credits.holds AS hold
  LEFT JOIN (SELECT movement.hold_id, sum(posting.amount) AS reserved
               FROM credits.credit_transactions AS movement
               JOIN credits.postings AS posting ON posting.transaction_id = movement.id
              WHERE movement.hold_id IS NOT NULL
                AND posting.bucket = 'reserved'
              GROUP BY movement.hold_id) AS kept ON kept.hold_id = hold.id
 WHERE coalesce(kept.reserved, 0) <> CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END
UNION ALL
SELECT 'system', account.account,
       format('at least %s is said to be there, its postings say %s', account.balance, summed.balance)
  FROM credits.credit_accounts AS account
  JOIN credits.system_balances AS summed ON summed.account = account.account
 WHERE account.balance > summed.balance
    OR (summed.balance < 0 AND account.account <> 'system:mint');

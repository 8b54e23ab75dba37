-- Every movement is written by this routine and by nothing else: header, postings, and the accounts they change.
-- Accounts are locked in the order of their names, so that two movements never wait for each other in a circle.
CREATE FUNCTION credits.post(
    p_tx_type credits.tx_type,
    p_key text,
    p_reason text,
    p_intent uuid,
    p_hold uuid,
    p_accounts text[],
    p_buckets credits.bucket[],
    p_tx_types credits.tx_type[],
    p_amounts bigint[]
)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_movement uuid;
BEGIN
    INSERT INTO credits.credit_accounts (account)
    SELECT DISTINCT named.account
      FROM unnest(p_accounts) AS named (account)
     WHERE NOT EXISTS (SELECT FROM credits.credit_accounts AS known WHERE known.account = named.account)
     ORDER BY named.account
    ON CONFLICT (account) DO NOTHING;

    PERFORM
       FROM credits.credit_accounts AS locked
      WHERE locked.account = ANY (p_accounts)
        AND locked.kind = 'agent'
      ORDER BY locked.account
        FOR NO KEY UPDATE;

    INSERT INTO credits.credit_transactions (tx_type, key, intent_id, hold_id, reason)
    VALUES (p_tx_type, p_key, p_intent, p_hold, p_reason)
    RETURNING id INTO v_movement;

    INSERT INTO credits.postings (transaction_id, line, account, bucket, tx_type, amount)
    SELECT v_movement, line, account, bucket, tx_type, amount
      FROM unnest(p_accounts, p_buckets, p_tx_types, p_amounts) WITH ORDINALITY
           AS posting (account, bucket, tx_type, amount, line);

    UPDATE credits.credit_accounts AS changed
       SET balance = changed.balance + delta.balance,
           reserved = changed.reserved + delta.reserved,
           earned = changed.earned + delta.earned,
           spent = changed.spent + delta.spent,
           updated_at = clock_timestamp()
      FROM (SELECT posting.account,
                   sum(posting.amount)::bigint AS balance,
                   coalesce(sum(posting.amount) FILTER (WHERE posting.bucket = 'reserved'), 0)::bigint AS reserved,
                   coalesce(sum(posting.amount) FILTER (WHERE posting.tx_type = 'earn'
                                                           OR posting.tx_type >= 'pou_compute'), 0)::bigint AS earned,
                   coalesce(-sum(posting.amount) FILTER (WHERE posting.tx_type = 'spend'), 0)::bigint AS spent
              FROM credits.postings AS posting
             WHERE posting.transaction_id = v_movement
             GROUP BY posting.account) AS delta
     WHERE changed.account = delta.account
       AND changed.kind = 'agent';
    RETURN v_movement;
END
$$;
COMMENT ON FUNCTION credits.post IS 'Write one movement: its header, its postings, and the accounts they change. Refused when the postings do not sum to zero.';

-- A hold is made only when the money is there: the row lock on the account makes two accepts wait for each other.
CREATE FUNCTION credits.reserve(
    p_account text, p_amount bigint, p_purpose_kind text, p_purpose_id text, p_intent uuid, p_expires_at timestamptz
)
RETURNS credits.holds
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_available bigint;
    v_hold credits.holds;
BEGIN
    SELECT balance - reserved
      INTO v_available
      FROM credits.credit_accounts
     WHERE account = p_account
       FOR NO KEY UPDATE;
    IF p_amount > 0 AND coalesce(v_available, 0) < p_amount THEN
        RAISE EXCEPTION 'the account has % available and % is needed', coalesce(v_available, 0), p_amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'funds_available_to_reserve',
                  DETAIL = jsonb_build_object('available', coalesce(v_available, 0), 'needed', p_amount,
                                              'missing', p_amount - coalesce(v_available, 0));
    END IF;
    INSERT INTO credits.holds (account, amount, purpose_kind, purpose_id, expires_at)
    VALUES (p_account, p_amount, p_purpose_kind, p_purpose_id, p_expires_at)
    RETURNING * INTO v_hold;
    PERFORM credits.post(
        'reserve', 'reserve:' || v_hold.id, 'held for ' || p_purpose_kind || ' ' || p_purpose_id, p_intent, v_hold.id,
        ARRAY[p_account, p_account], ARRAY['available', 'reserved']::credits.bucket[],
        ARRAY['reserve', 'reserve']::credits.tx_type[], ARRAY[-p_amount, p_amount]
    );
    RETURN v_hold;
END
$$;
COMMENT ON FUNCTION credits.reserve IS 'Set money of an account aside for one purpose.';

-- A hold ends once: whoever comes second waits on the row and then finds its state changed.
CREATE FUNCTION credits.take_hold(p_hold uuid)
RETURNS credits.holds
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_hold credits.holds;
BEGIN
    SELECT * INTO v_hold FROM credits.holds WHERE id = p_hold FOR NO KEY UPDATE;
    IF v_hold.id IS NULL THEN
        RAISE EXCEPTION 'there is no hold %', p_hold
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_known';
    ELSIF v_hold.state <> 'held' THEN
        RAISE EXCEPTION 'hold % is already %', p_hold, v_hold.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_ends_once',
                  DETAIL = jsonb_build_object('state', v_hold.state);
    END IF;
    RETURN v_hold;
END
$$;
COMMENT ON FUNCTION credits.take_hold IS 'Lock a hold that is still held; refused when it has ended.';

-- The shares must be the whole of the hold: nothing is minted and nothing is lost on the way.
CREATE FUNCTION credits.capture(p_hold uuid, p_accounts text[], p_amounts bigint[], p_intent uuid)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_hold credits.holds := credits.take_hold(p_hold);
    v_parts integer := cardinality(p_accounts);
BEGIN
    IF (SELECT coalesce(sum(share), 0) FROM unnest(p_amounts) AS share) <> v_hold.amount
       OR EXISTS (SELECT FROM unnest(p_amounts) AS share WHERE share <= 0) THEN
        RAISE EXCEPTION 'shares % are not the % held', p_amounts, v_hold.amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'shares_are_the_whole_hold';
    END IF;
    IF v_hold.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'hold % expired at %', p_hold, v_hold.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_alive_to_capture';
    END IF;
    UPDATE credits.holds SET state = 'captured', ended_at = clock_timestamp() WHERE id = p_hold;
    RETURN credits.post(
        'spend', 'capture:' || p_hold, 'settled ' || v_hold.purpose_kind || ' ' || v_hold.purpose_id, p_intent, p_hold,
        ARRAY[v_hold.account] || p_accounts,
        ARRAY['reserved']::credits.bucket[] || array_fill('available'::credits.bucket, ARRAY[v_parts]),
        ARRAY['spend']::credits.tx_type[] || array_fill('earn'::credits.tx_type, ARRAY[v_parts]),
        ARRAY[-v_hold.amount] || p_amounts
    );
END
$$;
COMMENT ON FUNCTION credits.capture IS 'Pay a hold out in shares that sum to it; once.';

CREATE FUNCTION credits.release(p_hold uuid, p_state credits.hold_state)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_hold credits.holds := credits.take_hold(p_hold);
BEGIN
    UPDATE credits.holds SET state = p_state, ended_at = clock_timestamp() WHERE id = p_hold;
    RETURN credits.post(
        'release', 'release:' || p_hold, p_state || ' ' || v_hold.purpose_kind || ' ' || v_hold.purpose_id, NULL, p_hold,
        ARRAY[v_hold.account, v_hold.account], ARRAY['reserved', 'available']::credits.bucket[],
        ARRAY['release', 'release']::credits.tx_type[], ARRAY[-v_hold.amount, v_hold.amount]
    );
END
$$;
COMMENT ON FUNCTION credits.release IS 'Give held money back to its owner; once.';

CREATE FUNCTION credits.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'the books are append only: correct a movement by another one'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'books_are_append_only';
END
$$;
COMMENT ON FUNCTION credits.refuse_change IS 'Keeps movements and postings as they were written.';

CREATE TRIGGER movements_append_only BEFORE UPDATE OR DELETE ON credits.credit_transactions
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change();
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON credits.postings
    FOR EACH ROW EXECUTE FUNCTION credits.refuse_change();

-- Deferred to the commit, so that psql cannot write half a movement either.
CREATE FUNCTION credits.check_balanced()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (SELECT sum(amount) FROM credits.postings WHERE transaction_id = NEW.transaction_id) <> 0 THEN
        RAISE EXCEPTION 'the postings of movement % do not sum to zero', NEW.transaction_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_sum_to_zero';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credits.check_balanced IS 'At the commit, the postings of a movement sum to zero.';

CREATE CONSTRAINT TRIGGER postings_sum_to_zero AFTER INSERT ON credits.postings
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.line = 1) EXECUTE FUNCTION credits.check_balanced();

-- Whoever takes from a system account waits here for the others who do, and finds what they left. A number that is too
-- low is no harm: the sum is taken again. Too high it cannot be, since nothing else takes.
CREATE FUNCTION credits.cover_outgoing()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_balance numeric;
    v_facts text;
BEGIN
    UPDATE credits.credit_accounts AS source
       SET balance = source.balance + NEW.amount,
           updated_at = clock_timestamp()
     WHERE source.account = NEW.account
       AND source.balance + NEW.amount >= 0;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM credits.credit_accounts AS source WHERE source.account = NEW.account FOR NO KEY UPDATE;
    SELECT sum(posting.amount) INTO v_balance FROM credits.postings AS posting WHERE posting.account = NEW.account;
    IF v_balance >= 0 THEN
        UPDATE credits.credit_accounts SET balance = v_balance, updated_at = clock_timestamp() WHERE account = NEW.account;
        RETURN NULL;
    END IF;
    v_facts := jsonb_build_object('available', v_balance - NEW.amount, 'needed', -NEW.amount, 'missing', -v_balance);
    IF NEW.account = 'system:pool' THEN
        RAISE EXCEPTION 'the pool has % and % is to be paid', v_balance - NEW.amount, -NEW.amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'pool_covers_rewards', DETAIL = v_facts;
    ELSIF NEW.account = 'system:treasury' THEN
        RAISE EXCEPTION 'the treasury has % and % is to be paid', v_balance - NEW.amount, -NEW.amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'treasury_covers_payments', DETAIL = v_facts;
    END IF;
    RAISE EXCEPTION 'the escrow has % and % is to be paid', v_balance - NEW.amount, -NEW.amount
        USING ERRCODE = 'check_violation', CONSTRAINT = 'escrow_covers_payments', DETAIL = v_facts;
END
$$;
COMMENT ON FUNCTION credits.cover_outgoing IS 'Nothing goes out of pool, treasury or escrow that is not there, whoever writes the posting.';

CREATE TRIGGER outgoing_is_covered AFTER INSERT ON credits.postings
    FOR EACH ROW WHEN (NEW.amount < 0 AND NEW.account IN ('system:treasury', 'system:pool', 'system:escrow'))
    EXECUTE FUNCTION credits.cover_outgoing();

-- An empty kind of actor is a session at the database itself: an operator's psql, or a migration. All that was ever
-- issued fits into a bigint, and so does every balance and every sum of balances.
CREATE FUNCTION credits.issue()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF coalesce(current_setting('hansa.actor_kind', true), '') NOT IN ('operator', '')
       AND NOT EXISTS (SELECT FROM credits.credit_transactions AS movement
                        WHERE movement.id = NEW.transaction_id
                          AND starts_with(movement.key, 'faucet:')) THEN
        RAISE EXCEPTION 'only an operator issues credits'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'issued_by_an_operator';
    END IF;
    UPDATE credits.credit_accounts
       SET balance = balance + NEW.amount,
           updated_at = clock_timestamp()
     WHERE account = 'system:mint';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION credits.issue IS 'Credits are issued by an operator, or by the development faucet; counts how much.';

CREATE TRIGGER credits_are_issued AFTER INSERT ON credits.postings
    FOR EACH ROW WHEN (NEW.amount < 0 AND NEW.account = 'system:mint')
    EXECUTE FUNCTION credits.issue();

CREATE FUNCTION credits.keep_hold()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR (NEW.id, NEW.account, NEW.amount, NEW.purpose_kind, NEW.purpose_id, NEW.created_at)
          IS DISTINCT FROM (OLD.id, OLD.account, OLD.amount, OLD.purpose_kind, OLD.purpose_id, OLD.created_at) THEN
        RAISE EXCEPTION 'hold % stays what it is: it can only end', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'holds_stay_what_they_are';
    ELSIF OLD.state <> 'held' AND (NEW.state, NEW.ended_at) IS DISTINCT FROM (OLD.state, OLD.ended_at) THEN
        RAISE EXCEPTION 'hold % was % and stays so', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ended_holds_stay_ended';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION credits.keep_hold IS 'A hold goes from held to captured, released or expired, and nowhere else, also for the owner of the table.';

CREATE TRIGGER holds_go_one_way BEFORE UPDATE OR DELETE ON credits.holds
    FOR EACH ROW EXECUTE FUNCTION credits.keep_hold();

CREATE FUNCTION credits.require_account(p_account text)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM credits.credit_accounts AS known WHERE known.account = p_account)
       AND NOT EXISTS (SELECT FROM registry.agents AS agent WHERE agent.did = p_account) THEN
        RAISE EXCEPTION 'there is no account and no agent %', p_account
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_known';
    END IF;
END
$$;
COMMENT ON FUNCTION credits.require_account IS 'Refused unless somebody has this account, or an agent of this DID is registered and could have one.';

-- What holds while no operator has said anything: 100 000 credits at once, and ten times that in a day. The day is that of
-- UTC, by the database's clock, wherever the session is.
CREATE FUNCTION credits.limits_of(p_account text, OUT transfer_max bigint, OUT day_max bigint, OUT used bigint, OUT resets_at timestamptz)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(own.transfer_max, house.transfer_max, 100000000),
           coalesce(own.day_max, house.day_max, 1000000000),
           coalesce((SELECT -sum(paid.amount)
                       FROM credits.postings AS paid
                      WHERE paid.account = p_account
                        AND paid.tx_type = 'spend'
                        AND paid.bucket = 'available'
                        AND paid.created_at >= today.began_at), 0)::bigint,
           today.began_at + interval '24 hours'
      FROM (SELECT date_trunc('day', clock_timestamp(), 'UTC') AS began_at) AS today
      LEFT JOIN credits.limits AS house ON true
      LEFT JOIN credits.account_limits AS own ON own.account = p_account
$$;
COMMENT ON FUNCTION credits.limits_of IS 'What an account may pay outside of holds, at once and in one UTC day, and what it has paid today, in units of 1/1000 credit.';

-- The payer is locked before its money and its day are looked at, so two payments cannot pass together what one may.
CREATE FUNCTION credits.pay(
    p_payer text, p_receiver text, p_amount bigint, p_key text, p_reason text, p_intent uuid
)
RETURNS credits.credit_transactions
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_available bigint;
    v_limits record;
    v_movement credits.credit_transactions;
BEGIN
    IF p_amount <= 0 THEN
        RAISE EXCEPTION 'an amount to pay is greater than zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'paid_amount_positive';
    ELSIF p_payer = p_receiver THEN
        RAISE EXCEPTION 'an account cannot pay itself'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'paid_to_another';
    END IF;
    INSERT INTO credits.credit_accounts (account)
    SELECT p_receiver
     WHERE NOT EXISTS (SELECT FROM credits.credit_accounts AS known WHERE known.account = p_receiver)
    ON CONFLICT (account) DO NOTHING;
    PERFORM
       FROM credits.credit_accounts AS locked
      WHERE locked.account IN (p_payer, p_receiver)
        AND locked.kind = 'agent'
      ORDER BY locked.account
        FOR NO KEY UPDATE;
    SELECT payer.balance - payer.reserved
      INTO v_available
      FROM credits.credit_accounts AS payer
     WHERE payer.account = p_payer
       AND payer.kind = 'agent';
    IF coalesce(v_available, 0) < p_amount THEN
        RAISE EXCEPTION 'the account has % available and % is needed', coalesce(v_available, 0), p_amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'funds_available_to_pay',
                  DETAIL = jsonb_build_object('available', coalesce(v_available, 0), 'needed', p_amount,
                                              'missing', p_amount - coalesce(v_available, 0));
    END IF;
    SELECT * INTO v_limits FROM credits.limits_of(p_payer);
    IF p_amount > v_limits.transfer_max THEN
        RAISE EXCEPTION 'one payment of this account is at most %', v_limits.transfer_max
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_within_limit',
                  DETAIL = jsonb_build_object('limit', v_limits.transfer_max, 'amount', p_amount);
    ELSIF p_amount > v_limits.day_max - v_limits.used THEN
        RAISE EXCEPTION 'this account pays at most % a day and has paid % today', v_limits.day_max, v_limits.used
            USING ERRCODE = 'check_violation', CONSTRAINT = 'day_within_limit',
                  DETAIL = jsonb_build_object('limit', v_limits.day_max, 'used', v_limits.used, 'amount', p_amount,
                                              'resets_at', v_limits.resets_at);
    END IF;
    v_movement.id := credits.post(
        'spend', p_key, p_reason, p_intent, NULL, ARRAY[p_payer, p_receiver],
        ARRAY['available', 'available']::credits.bucket[], ARRAY['spend', 'earn']::credits.tx_type[],
        ARRAY[-p_amount, p_amount]
    );
    SELECT * INTO v_movement FROM credits.credit_transactions WHERE id = v_movement.id;
    RETURN v_movement;
END
$$;
COMMENT ON FUNCTION credits.pay IS 'Pay from what an account has available, outside of holds and within its limits; once per key.';

CREATE FUNCTION credits.transfer(p_sender text, p_receiver text, p_amount bigint, p_key text, p_reason text)
RETURNS credits.credit_transactions
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF starts_with(p_receiver, 'system:') THEN
        RAISE EXCEPTION '% takes no transfers', p_receiver
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transfer_to_an_agent';
    END IF;
    PERFORM credits.require_account(p_receiver);
    RETURN credits.pay(p_sender, p_receiver, p_amount, p_key,
                       concat_ws(': ', 'transfer from ' || p_sender || ' to ' || p_receiver, nullif(p_reason, '')), NULL);
END
$$;
COMMENT ON FUNCTION credits.transfer IS 'Give money to another agent, who must be known; once per key.';

-- The row of the system account is locked before any agent's, so that two rewards never wait for each other in a circle.
CREATE FUNCTION credits.disburse(
    p_source text, p_account text, p_tx_types credits.tx_type[], p_amounts bigint[], p_key text, p_reason text, p_intent uuid
)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_parts integer := cardinality(p_amounts);
BEGIN
    IF v_parts = 0 OR EXISTS (SELECT FROM unnest(p_amounts) AS part WHERE part <= 0) THEN
        RAISE EXCEPTION 'what is paid out is greater than zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'disbursed_amount_positive';
    ELSIF p_source NOT IN ('system:treasury', 'system:pool', 'system:escrow')
          OR EXISTS (SELECT FROM unnest(p_tx_types) AS earned WHERE earned <> 'earn' AND earned < 'pou_compute') THEN
        RAISE EXCEPTION '% pays no % to %', p_source, p_tx_types, p_account
            USING ERRCODE = 'check_violation', CONSTRAINT = 'house_pays_what_is_earned';
    END IF;
    PERFORM FROM credits.credit_accounts AS source WHERE source.account = p_source FOR NO KEY UPDATE;
    RETURN credits.post(
        'earn', p_key, p_reason, p_intent, NULL, p_source || array_fill(p_account, ARRAY[v_parts]),
        array_fill('available'::credits.bucket, ARRAY[1 + v_parts]), 'spend'::credits.tx_type || p_tx_types,
        (SELECT -sum(part) FROM unnest(p_amounts) AS part)::bigint || p_amounts
    );
END
$$;
COMMENT ON FUNCTION credits.disburse IS 'Pay from pool, treasury or escrow to an account, one posting for each type of what was earned; once per key, and never more than is there.';

CREATE FUNCTION credits.release_own(p_hold uuid, p_account text)
RETURNS uuid
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_hold credits.holds;
BEGIN
    SELECT * INTO v_hold FROM credits.holds WHERE id = p_hold;
    IF v_hold.account <> p_account THEN
        RAISE EXCEPTION 'hold % belongs to somebody else', p_hold
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_released_by_its_owner';
    ELSIF v_hold.purpose_kind <> 'manual' THEN
        RAISE EXCEPTION 'hold % ends with its %', p_hold, v_hold.purpose_kind
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hold_made_by_hand';
    END IF;
    RETURN credits.release(p_hold, 'released');
END
$$;
COMMENT ON FUNCTION credits.release_own IS 'Give its owner back what it has set aside by itself; a hold of a deal ends with the deal.';

-- Ids of movements carry the time at which they were drawn, so a period is found through the index by account and id. An
-- hour to both sides covers whatever a clock was set back by; the time of the posting itself decides.
CREATE FUNCTION credits.first_id_at(p_at timestamptz)
RETURNS uuid
LANGUAGE sql STABLE STRICT SET search_path = ''
AS $$
    SELECT rpad(lpad(to_hex(greatest(0, floor(extract(epoch FROM p_at) * 1000))::bigint), 12, '0'), 32, '0')::uuid
$$;
COMMENT ON FUNCTION credits.first_id_at IS 'The lowest id that a movement of this moment could have.';

-- The check of line 1 sees the whole movement, since nothing can be added to it later.
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

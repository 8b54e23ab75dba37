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
    FOR EACH ROW EXECUTE FUNCTION credits.check_balanced();

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

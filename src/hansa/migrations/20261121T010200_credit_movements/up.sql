-- What is on a system account is the sum of its postings, and no settlement waits for it: what comes in adds a posting and
-- nothing else. What goes out must know that it is there. It subtracts from a number that is never too high, so that the
-- sum is taken again only when that number no longer reaches, and only those who take wait for each other.
UPDATE credits.credit_accounts AS account
   SET balance = summed.balance
  FROM credits.system_balances AS summed
 WHERE summed.account = account.account;
ALTER TABLE credits.credit_accounts
    ADD CONSTRAINT only_the_mint_goes_below_zero CHECK (kind = 'agent' OR balance >= 0 OR account = 'system:mint');
COMMENT ON COLUMN credits.credit_accounts.balance IS 'Sum of all postings of the account, in units of 1/1000 credit. For a system account what is at least there: the sum when it was last taken, minus all that went out since. What comes in does not touch it, so no settlement waits for that row; credits.system_balances sums the postings.';

CREATE TABLE credits.limits (
    only_row boolean NOT NULL DEFAULT true,
    transfer_max bigint NOT NULL,
    day_max bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL,
    CONSTRAINT one_set_of_limits PRIMARY KEY (only_row),
    CONSTRAINT limits_are_one_row CHECK (only_row),
    CONSTRAINT limits_not_negative CHECK (least(transfer_max, day_max) >= 0)
);
COMMENT ON TABLE credits.limits IS 'What an account may pay outside of holds, unless it has limits of its own; one row, or none while those of credits.limits_of hold.';
COMMENT ON COLUMN credits.limits.transfer_max IS 'Most that one payment may be, in units of 1/1000 credit.';
COMMENT ON COLUMN credits.limits.day_max IS 'Most that all payments of one UTC day may be together, in units of 1/1000 credit.';
COMMENT ON COLUMN credits.limits.changed_by IS 'The operator who set them for the house.';

CREATE TABLE credits.account_limits (
    account text NOT NULL,
    transfer_max bigint,
    day_max bigint,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by text NOT NULL,
    CONSTRAINT one_set_of_limits_per_account PRIMARY KEY (account),
    CONSTRAINT limits_of_an_account FOREIGN KEY (account) REFERENCES credits.credit_accounts (account),
    CONSTRAINT account_limits_not_negative CHECK (least(transfer_max, day_max) >= 0)
);
COMMENT ON TABLE credits.account_limits IS 'Accounts whose limits an operator has set apart from those of the house.';
COMMENT ON COLUMN credits.account_limits.transfer_max IS 'Most that one payment may be, in units of 1/1000 credit; NULL: as in credits.limits.';
COMMENT ON COLUMN credits.account_limits.day_max IS 'Most that all payments of one UTC day may be together, in units of 1/1000 credit; NULL: as in credits.limits.';
COMMENT ON COLUMN credits.account_limits.changed_by IS 'The operator who set them.';

CREATE TABLE credits.reconciliations (
    id uuid NOT NULL DEFAULT uuidv7(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    accounts bigint NOT NULL,
    movements bigint NOT NULL,
    holds bigint NOT NULL,
    discrepancies jsonb NOT NULL,
    balanced boolean NOT NULL GENERATED ALWAYS AS (discrepancies = '[]'::jsonb) STORED,
    CONSTRAINT reconciliations_pkey PRIMARY KEY (id),
    CONSTRAINT discrepancies_are_a_list CHECK (jsonb_typeof(discrepancies) = 'array')
);
COMMENT ON TABLE credits.reconciliations IS 'What each hourly comparison of the books with their postings found; kept for 90 days.';
COMMENT ON COLUMN credits.reconciliations.accounts IS 'How many accounts were compared.';
COMMENT ON COLUMN credits.reconciliations.movements IS 'How many movements were compared.';
COMMENT ON COLUMN credits.reconciliations.holds IS 'How many holds were compared.';
COMMENT ON COLUMN credits.reconciliations.discrepancies IS 'The first hundred rows of credits.discrepancies, as {kind, subject, finding}.';
COMMENT ON COLUMN credits.reconciliations.balanced IS 'Whether nothing was wrong.';
CREATE INDEX reconciliations_by_time ON credits.reconciliations (at DESC);

CREATE INDEX postings_paid_outside_holds ON credits.postings (account, created_at) INCLUDE (amount)
    WHERE tx_type = 'spend' AND bucket = 'available';
COMMENT ON INDEX credits.postings_paid_outside_holds IS 'What an account paid today, for its limit.';
CREATE INDEX movements_of_an_intent ON credits.credit_transactions (intent_id) WHERE intent_id IS NOT NULL;
COMMENT ON INDEX credits.movements_of_an_intent IS 'All movements that served an intent.';

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
       format('hold is %s with %s, its postings keep %s reserved', hold.state, hold.amount, kept.reserved)
  FROM credits.holds AS hold
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(posting.amount), 0) AS reserved
         FROM credits.credit_transactions AS movement
         JOIN credits.postings AS posting ON posting.transaction_id = movement.id
        WHERE movement.hold_id = hold.id
          AND posting.bucket = 'reserved') AS kept
 WHERE kept.reserved <> CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END
UNION ALL
SELECT 'system', account.account,
       format('at least %s is said to be there, its postings say %s', account.balance, summed.balance)
  FROM credits.credit_accounts AS account
  JOIN credits.system_balances AS summed ON summed.account = account.account
 WHERE account.balance > summed.balance
    OR (summed.balance < 0 AND account.account <> 'system:mint');
COMMENT ON VIEW credits.discrepancies IS 'Every way in which the books could be wrong, one row each; empty when they are right.';

-- The application changes what its routines change, and nothing else of an account or a hold.
REVOKE UPDATE ON credits.credit_accounts, credits.holds FROM hansa_app;
GRANT UPDATE (balance, reserved, earned, spent, updated_at) ON credits.credit_accounts TO hansa_app;
GRANT UPDATE (state, ended_at) ON credits.holds TO hansa_app;
GRANT SELECT, INSERT (transfer_max, day_max, changed_by), UPDATE (transfer_max, day_max, changed_at, changed_by)
   ON credits.limits TO hansa_app;
GRANT SELECT, INSERT (account, transfer_max, day_max, changed_by), DELETE,
      UPDATE (transfer_max, day_max, changed_at, changed_by) ON credits.account_limits TO hansa_app;
GRANT SELECT, INSERT (accounts, movements, holds, discrepancies), DELETE ON credits.reconciliations TO hansa_app;

-- Everybody may know what is allowed, since every payment looks it up; operators decide it.
ALTER TABLE credits.limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.limits FORCE ROW LEVEL SECURITY;
CREATE POLICY limits_are_open ON credits.limits FOR SELECT USING (true);
CREATE POLICY limits_by_operators ON credits.limits
    USING (current_setting('hansa.actor_kind', true) = 'operator');
ALTER TABLE credits.account_limits ENABLE ROW LEVEL SECURITY;
ALTER TABLE credits.account_limits FORCE ROW LEVEL SECURITY;
CREATE POLICY account_limits_are_open ON credits.account_limits FOR SELECT USING (true);
CREATE POLICY account_limits_by_operators ON credits.account_limits
    USING (current_setting('hansa.actor_kind', true) = 'operator');

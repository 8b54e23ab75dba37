CREATE SCHEMA credits;
COMMENT ON SCHEMA credits IS 'Accounts of the house credit, their double-entry postings, and holds. Amounts are units of 1/1000 credit.';

CREATE TYPE credits.account_kind AS ENUM ('agent', 'system');
CREATE TYPE credits.bucket AS ENUM ('available', 'reserved');
CREATE TYPE credits.tx_type AS ENUM (
    'deposit', 'earn', 'reserve', 'release', 'spend',
    'pou_compute', 'pou_memory', 'pou_routing', 'pou_validation', 'pou_learning'
);
CREATE TYPE credits.hold_state AS ENUM ('held', 'captured', 'released', 'expired');

CREATE TABLE credits.credit_accounts (
    account text NOT NULL,
    kind credits.account_kind NOT NULL DEFAULT 'agent',
    balance bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    earned bigint NOT NULL DEFAULT 0,
    spent bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT credit_accounts_pkey PRIMARY KEY (account),
    CONSTRAINT system_accounts_are_known CHECK (
        (kind = 'system') = (account IN ('system:mint', 'system:treasury', 'system:pool', 'system:escrow'))
    ),
    CONSTRAINT agent_balance_not_negative CHECK (kind = 'system' OR balance >= 0),
    CONSTRAINT reserved_within_balance CHECK (kind = 'system' OR (reserved >= 0 AND reserved <= balance)),
    CONSTRAINT turnover_not_negative CHECK (earned >= 0 AND spent >= 0)
);
COMMENT ON TABLE credits.credit_accounts IS 'One row per holder of credits; it appears on first use. Source: AINP credit ledger.';
COMMENT ON COLUMN credits.credit_accounts.account IS 'DID of the holder, or the name of a system account.';
COMMENT ON COLUMN credits.credit_accounts.balance IS 'Sum of all postings of the account, in units of 1/1000 credit. System accounts keep none: one hot row would serialise every settlement; credits.system_balances sums their postings.';
COMMENT ON COLUMN credits.credit_accounts.reserved IS 'Part of the balance that is held; available = balance - reserved.';
COMMENT ON COLUMN credits.credit_accounts.earned IS 'Sum of all that was ever earned by settlements and rewards.';
COMMENT ON COLUMN credits.credit_accounts.spent IS 'Sum of all that was ever spent by settlements.';

CREATE TABLE credits.holds (
    id uuid NOT NULL DEFAULT uuidv7(),
    account text NOT NULL,
    amount bigint NOT NULL,
    purpose_kind text NOT NULL,
    purpose_id text NOT NULL,
    state credits.hold_state NOT NULL DEFAULT 'held',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT holds_pkey PRIMARY KEY (id),
    CONSTRAINT hold_on_an_account FOREIGN KEY (account) REFERENCES credits.credit_accounts (account),
    CONSTRAINT hold_amount_positive CHECK (amount > 0),
    CONSTRAINT one_hold_per_purpose UNIQUE (purpose_kind, purpose_id),
    CONSTRAINT ended_holds_have_an_end CHECK ((state = 'held') = (ended_at IS NULL))
);
COMMENT ON TABLE credits.holds IS 'Money set aside for one purpose: accepting a deal creates it, settling captures it, expiry or cancelling releases it, each exactly once.';
COMMENT ON COLUMN credits.holds.purpose_kind IS 'What the money is held for, e.g. negotiation. The owner of that thing checks that it exists.';
CREATE INDEX holds_to_expire ON credits.holds (expires_at) WHERE state = 'held';
CREATE INDEX holds_by_account ON credits.holds (account, created_at DESC);

CREATE TABLE credits.credit_transactions (
    id uuid NOT NULL DEFAULT uuidv7(),
    tx_type credits.tx_type NOT NULL,
    key text NOT NULL,
    intent_id uuid,
    hold_id uuid,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT credit_transactions_pkey PRIMARY KEY (id),
    CONSTRAINT one_movement_per_key UNIQUE (key),
    CONSTRAINT movement_of_a_hold FOREIGN KEY (hold_id) REFERENCES credits.holds (id)
);
COMMENT ON TABLE credits.credit_transactions IS 'Movements of credits: each is a set of postings that sums to zero. Append only. Source: AINP credit ledger.';
COMMENT ON COLUMN credits.credit_transactions.key IS 'What makes the movement happen once, e.g. faucet:<wallet> or capture:<hold>.';
COMMENT ON COLUMN credits.credit_transactions.intent_id IS 'The intent that the movement serves, if any; kept by the negotiation context.';

CREATE TABLE credits.postings (
    transaction_id uuid NOT NULL,
    line smallint NOT NULL,
    account text NOT NULL,
    bucket credits.bucket NOT NULL,
    tx_type credits.tx_type NOT NULL,
    amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT postings_pkey PRIMARY KEY (transaction_id, line),
    CONSTRAINT posting_of_a_movement FOREIGN KEY (transaction_id) REFERENCES credits.credit_transactions (id),
    CONSTRAINT posting_on_an_account FOREIGN KEY (account) REFERENCES credits.credit_accounts (account),
    CONSTRAINT posting_moves_something CHECK (amount <> 0)
);
COMMENT ON TABLE credits.postings IS 'Signed amounts on accounts; the four numbers of an account are sums of these. Append only.';
COMMENT ON COLUMN credits.postings.bucket IS 'Whether the posting changes what is available or what is reserved.';
COMMENT ON COLUMN credits.postings.tx_type IS 'What the posting means for this account: one settlement is spend for the buyer and earn for the others.';
CREATE INDEX postings_by_account ON credits.postings (account, transaction_id DESC, line);

INSERT INTO credits.credit_accounts (account, kind)
VALUES ('system:mint', 'system'), ('system:treasury', 'system'), ('system:pool', 'system'), ('system:escrow', 'system');
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
CREATE VIEW credits.system_balances WITH (security_invoker) AS
SELECT account.account, coalesce(sum(posting.amount), 0)::bigint AS balance
  FROM credits.credit_accounts AS account
  LEFT JOIN credits.postings AS posting ON posting.account = account.account
 WHERE account.kind = 'system'
 GROUP BY account.account;
COMMENT ON VIEW credits.system_balances IS 'What the mint, treasury, pool and escrow hold: the sum of their postings.';

CREATE VIEW credits.discrepancies WITH (security_invoker) AS
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
 WHERE kept.reserved <> CASE WHEN hold.state = 'held' THEN hold.amount ELSE 0 END;
COMMENT ON VIEW credits.discrepancies IS 'Every way in which the books could be wrong, one row each; empty when they are right.';
GRANT USAGE ON SCHEMA credits TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON credits.credit_accounts TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON credits.holds TO hansa_app;
GRANT SELECT, INSERT ON credits.credit_transactions, credits.postings TO hansa_app;
GRANT SELECT ON credits.system_balances, credits.discrepancies TO hansa_app;

CREATE SCHEMA credits;
COMMENT ON SCHEMA credits IS 'Accounts of the house credit, their double-entry postings, and holds. Amounts are units of 1/1000 credit.';

CREATE TYPE credits.account_kind AS ENUM ('agent', 'system');
CREATE TYPE credits.bucket AS ENUM ('available', 'reserved');
CREATE TYPE credits.tx_type AS ENUM (
    'deposit', 'earn', 'reserve', 'release', 'spend',
    'pou_compute', 'pou_memory', 'pou_routing', 'pou_validation', 'pou_learning'
);
CREATE TYPE credits.hold_state AS ENUM ('held', 'captured', 'released', 'expired');

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

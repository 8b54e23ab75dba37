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
    CONSTRAINT only_the_mint_goes_below_zero CHECK (kind = 'agent' OR balance >= 0 OR account = 'system:mint'),
    CONSTRAINT reserved_within_balance CHECK (kind = 'system' OR (reserved >= 0 AND reserved <= balance)),
    CONSTRAINT turnover_not_negative CHECK (earned >= 0 AND spent >= 0)
);
COMMENT ON TABLE credits.credit_accounts IS 'One row per holder of credits; it appears on first use. Source: AINP credit ledger.';
COMMENT ON COLUMN credits.credit_accounts.account IS 'DID of the holder, or the name of a system account.';
COMMENT ON COLUMN credits.credit_accounts.balance IS 'Sum of all postings of the account, in units of 1/1000 credit. For a system account what is at least there: the sum when it was last taken, minus all that went out since. What comes in does not touch it, so no settlement waits for that row; credits.system_balances sums the postings.';
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

CREATE FUNCTION identity.update_updated_at_column()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION identity.update_updated_at_column IS 'Keeps updated_at true on every table that has it. Source: AMOCA.';

CREATE TRIGGER users_updated_at BEFORE UPDATE ON identity.users
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();

-- An agent may not look through the accounts of others, and nobody knows whose an account is before it is found. So
-- it is the house that looks, for the length of this routine; the caller gets the one row that its own key leads to.
CREATE FUNCTION identity.account_behind(p_did text, p_solana_did text, p_wallet text)
RETURNS identity.users
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := coalesce(current_setting('hansa.actor_kind', true), '');
    v_user identity.users;
BEGIN
    PERFORM set_config('hansa.actor_kind', 'system', true);
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT p_solana_did, p_wallet
     WHERE NOT EXISTS (SELECT FROM identity.users AS known
                        WHERE known.solana_did = p_solana_did OR known.wallet_address = p_wallet)
    ON CONFLICT DO NOTHING;
    -- After a rotation the account keeps its DID and has another wallet; either of the two leads to it.
    SELECT * INTO STRICT v_user
      FROM identity.users AS known
     WHERE known.solana_did = p_solana_did OR known.wallet_address = p_wallet
     ORDER BY known.solana_did = p_solana_did DESC
     LIMIT 1;
    INSERT INTO identity.user_dids (did, user_id)
    VALUES (p_did, v_user.id)
    ON CONFLICT (did) DO NOTHING;
    PERFORM set_config('hansa.actor_kind', v_kind, true);
    RETURN v_user;
END
$$;
COMMENT ON FUNCTION identity.account_behind IS 'The account behind a key, made when there is none yet. Safe to call at the same time from several sessions.';

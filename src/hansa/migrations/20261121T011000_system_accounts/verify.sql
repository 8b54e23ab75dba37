SELECT 'no agent holds an account under a name of the house',
       EXISTS (SELECT FROM pg_constraint
                WHERE conrelid = 'credits.credit_accounts'::regclass
                  AND conname = 'system_names_are_the_houses'
                  AND convalidated);

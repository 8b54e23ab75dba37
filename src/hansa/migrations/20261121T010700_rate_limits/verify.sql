-- verify: writes
SELECT 'a burst is admitted, and no more',
       (SELECT count(*) FILTER (WHERE wait = 0) = 3 AND max(wait) BETWEEN 19 AND 20
          FROM (SELECT ops.admit('verify', 'requests', 3, 3) AS wait FROM generate_series(1, 4)) AS asked);

SELECT 'others are not counted with them', ops.admit('verify another', 'requests', 3, 3) = 0;

SELECT 'the application counts and forgets, and invents no time',
       has_table_privilege('hansa_app', 'ops.rate_limits', 'SELECT, INSERT, DELETE')
       AND NOT has_column_privilege('hansa_app', 'ops.rate_limits', 'subject', 'UPDATE');

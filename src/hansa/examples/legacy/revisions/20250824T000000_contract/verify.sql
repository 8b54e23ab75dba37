SELECT 'no old column is left' AS "check", count(*) = 0 AS ok,
       string_agg(table_name || '.' || column_name, ', ' ORDER BY table_name, column_name) AS detail
  FROM information_schema.columns
 WHERE table_schema = 'public'
   AND column_name LIKE '%\_\_old';
SELECT 'nothing is kept in step any more' AS "check", count(*) = 0 AS ok,
       string_agg(tgname, ', ' ORDER BY tgname) AS detail
  FROM pg_trigger
  JOIN pg_class ON pg_class.oid = tgrelid
 WHERE relnamespace = 'public'::regnamespace
   AND NOT tgisinternal
   AND tgname NOT LIKE '%\_updatedAt';

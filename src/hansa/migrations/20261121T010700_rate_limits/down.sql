DROP FUNCTION ops.admit(text, text, integer, integer);
-- What was counted in the last minute is no data of anybody's: emptied first, it is not missed.
TRUNCATE ops.rate_limits;
DROP TABLE ops.rate_limits;

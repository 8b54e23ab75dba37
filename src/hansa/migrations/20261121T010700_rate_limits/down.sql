-- down: loses nothing
-- What was counted in the last minute is no data of anybody's.
DROP FUNCTION ops.admit(text, text, integer, integer);
DROP TABLE ops.rate_limits;

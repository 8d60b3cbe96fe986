-- name: try_close_windows
-- Held by the session: lost with its connection.
SELECT pg_try_advisory_lock(hashtextextended('nyx.windows', 0));

-- name: still_there
SELECT 1;

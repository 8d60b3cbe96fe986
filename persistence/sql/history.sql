-- name: timeline
-- It changes where a standby is promoted or a backup restored; NULL on a standby, which may be behind.
SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END;

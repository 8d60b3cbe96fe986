-- name: doctor_server
SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS told,
       pg_is_in_recovery() AS standby, current_setting('max_connections')::integer AS max_connections,
       (SELECT sum(numbackends) FROM pg_stat_database) AS sessions; -- whoever asks, it is all of them

-- name: doctor_replication
SELECT count(*) AS standbys,
       current_setting('synchronous_standby_names') <> ''
       AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS waits
FROM pg_stat_replication;

-- name: doctor_slots
-- Replication slots that nobody reads from, and how much of the log of the server is kept for them.
SELECT slot_name AS name,
       coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                                restart_lsn), 0)::bigint AS bytes
FROM pg_replication_slots WHERE NOT active ORDER BY slot_name;

-- name: doctor_rights
-- Tables that this role may not append to; those that a writer appends to are asked about.
SELECT t.name FROM unnest($1::text[]) AS t (name)
WHERE to_regclass('nyx.' || t.name) IS NOT NULL AND NOT has_table_privilege('nyx.' || t.name, 'INSERT')
ORDER BY t.name;

-- name: doctor_clock
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: doctor_settings
SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1::text[]);

-- name: doctor_indexes
SELECT t.relname AS "table", i.relname AS index, x.indisvalid AS valid, pg_relation_size(i.oid) AS bytes,
       coalesce(s.idx_scan, 0) AS scans, x.indisunique AS is_unique,
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number ORDER BY k.place) AS columns
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.oid
WHERE n.nspname = 'nyx'
ORDER BY t.relname, i.relname;

-- name: doctor_tables
SELECT relname AS "table", n_live_tup AS live, n_dead_tup AS dead, coalesce(seq_scan, 0) AS scans,
       coalesce(seq_tup_read, 0) AS scanned, pg_total_relation_size(relid) AS bytes
FROM pg_stat_all_tables WHERE schemaname = 'nyx' ORDER BY relname;

-- name: doctor_bandits
-- The sums of the encoding that is furthest: others are stored by processes with other specs.
SELECT b.bandit, b.last_seq, coalesce(max(c.seq), 0) AS stored_seq
FROM nyx.bandit b LEFT JOIN nyx.checkpoint c ON c.bandit = b.bandit
GROUP BY b.bandit, b.last_seq ORDER BY b.bandit;

-- name: doctor_sessions
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS longest_s,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
       count(*) FILTER (WHERE application_name = 'nyx-learning') AS own
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';

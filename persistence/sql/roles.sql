-- Least privilege. Run by the owner of the schema nyx (who migrates, and runs retention), behind each migration:
--   nyx-learning migrate --roles        or        psql -f roles.sql
-- Then: GRANT nyx_writer TO the role that your orchestrators log in as, and nyx_reader to those who only look.
-- A writer appends: it can neither change nor remove a decision, a row of the log or a spec, nor change the schema.

DO $$
DECLARE
    made text;
    found record;
BEGIN
    FOREACH made IN ARRAY ARRAY['nyx_reader', 'nyx_writer'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', made);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA nyx FROM %I', made);
        EXECUTE format('REVOKE ALL ON SCHEMA nyx FROM %I', made);
        EXECUTE format('GRANT USAGE ON SCHEMA nyx TO %I', made);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA nyx TO %I', made);
    END LOOP;
    FOR found IN
        SELECT g.name, g.rights
        FROM (VALUES ('bandit', 'INSERT, UPDATE (last_seq, adopted_seq)'),
                     ('spec', 'INSERT'),
                     ('decision_key', 'INSERT'),
                     ('decision', 'INSERT'),
                     ('log', 'INSERT'),
                     ('counted', 'INSERT, UPDATE'),
                     ('checkpoint', 'INSERT, UPDATE'),
                     ('sums', 'INSERT, UPDATE'),
                     ('hold', 'INSERT, UPDATE'),
                     ('conflict', 'INSERT'),
                     ('unlearned', 'INSERT'),
                     ('monitoring', 'INSERT, UPDATE'),
                     ('budget', 'INSERT, UPDATE'),
                     ('execution', 'INSERT'),
                     ('advice', 'INSERT'),
                     ('reservation', 'INSERT, UPDATE (used)'),
                     ('pattern_snapshot', 'INSERT, DELETE')) AS g (name, rights)
        JOIN pg_tables t ON t.schemaname = 'nyx' AND t.tablename = g.name
    LOOP
        EXECUTE format('GRANT %s ON nyx.%I TO nyx_writer', found.rights, found.name);
    END LOOP;
    GRANT EXECUTE ON FUNCTION nyx.add_partitions(date, integer) TO nyx_writer;
END
$$;

-- Decisions that were made elsewhere (mode 'imported') may have a propensity that nobody knows: it is stored as 0, as
-- rows of the log have it where the policy did not choose. Whoever divides by it is refused.

DO $$
DECLARE
    found name;
BEGIN
    FOR found IN
        SELECT c.conname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
        WHERE c.conrelid = 'nyx.decision'::regclass AND c.contype = 'c' AND a.attname = 'propensity'
    LOOP
        EXECUTE format('ALTER TABLE nyx.decision DROP CONSTRAINT %I', found);
    END LOOP;
END
$$;
ALTER TABLE nyx.decision ADD CONSTRAINT decision_known_propensity
    CHECK ((propensity > 0 AND propensity <= 1) OR (propensity = 0 AND mode = 'imported'));

-- name: log_page
-- Rows behind $2 as columns: what is folded of each is packed, in the order of the numbers, and not decoded row by row.
-- $4, $5: encoding and length of the φ that can be folded so; the numbers of all other rows are told.
SELECT count(*) AS rows,
       string_agg(int8send(p.seq), '') FILTER (WHERE p.plain) AS seqs,
       array_agg(p.arm_id) FILTER (WHERE p.plain) AS arms,
       string_agg(int4send(p.epoch), '') FILTER (WHERE p.plain) AS epochs,
       string_agg(array_send(p.phi), '') FILTER (WHERE p.plain) AS phi,
       string_agg(int4send(coalesce(p.taken, -1)), '') FILTER (WHERE p.plain) AS taken,
       string_agg(int4send(coalesce(p.units, -1)), '') FILTER (WHERE p.plain) AS units,
       string_agg(int8send(p.place), '') FILTER (WHERE p.plain) AS places,
       array_agg(p.seq) FILTER (WHERE NOT p.plain) AS others
FROM (SELECT l.seq, l.arm_id, l.epoch, l.phi, l.taken, l.units, l.place,
             coalesce(l.kind IN ('reward', 'expiry', 'abandonment', 'retraction', 'repricing')
                      AND l.encoding = $4 AND array_ndims(l.phi) = 1 AND cardinality(l.phi) = $5
                      AND array_position(l.phi, NULL) IS NULL, false) AS plain
      FROM nyx.log l
      WHERE l.bandit = $1 AND l.seq > $2
      ORDER BY l.seq
      LIMIT $3) AS p;

-- name: log_rows
SELECT l.*,
       CASE WHEN l.encoding <> $3
            THEN (SELECT d.context FROM nyx.decision d
                  WHERE d.bandit = l.bandit AND d.decision_id = l.decision_id AND d.decided_on = l.decided_on)
       END AS context
FROM nyx.log l
WHERE l.bandit = $1 AND l.seq = ANY ($2::bigint[])
ORDER BY l.seq;

-- name: notify
SELECT pg_notify($1, $2);

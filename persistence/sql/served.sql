-- Which spec a server decides by: the newest of each bandit.

-- name: newest_hashes
SELECT DISTINCT ON (bandit) bandit, spec_hash FROM nyx.spec WHERE bandit = ANY($1::text[])
ORDER BY bandit, created_at DESC, spec_hash;

-- name: spec_known
SELECT EXISTS (SELECT FROM nyx.spec WHERE bandit = $1 AND spec_hash = $2);

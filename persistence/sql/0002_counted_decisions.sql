-- A decision without a reward leaves no number in the log, so a removed one would not be missed. It is counted in the
-- statement that inserts it; in stripes, because many processes would queue for one row.
CREATE TABLE nyx.counted (
    bandit      text NOT NULL REFERENCES nyx.bandit,
    stripe      integer NOT NULL,
    decisions   bigint NOT NULL,
    PRIMARY KEY (bandit, stripe)
);
INSERT INTO nyx.counted (bandit, stripe, decisions) SELECT bandit, 0, count(*) FROM nyx.decision GROUP BY bandit;

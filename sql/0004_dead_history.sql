-- Every refusal of a dead letter that was refused again by a replay, the first one included, oldest
-- first: {at, reason, detail}. The columns reason and detail are those of the newest.
ALTER TABLE cxsink.dead_letters ADD COLUMN history jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN cxsink.dead_letters.history IS
    'refusals {at, reason, detail} once a replay was refused, too: the first and the newest 49';

-- What cxsink keeps for itself: dead letters, the state of the streams, and these migrations.
-- Nothing here needs more than the right to create a schema; one that is there already will do.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'cxsink') THEN
        CREATE SCHEMA cxsink;
        COMMENT ON SCHEMA cxsink IS 'cxsink: dead letters and bookkeeping';
    END IF;
END $$;

CREATE TABLE cxsink.migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    sha256 text NOT NULL
);

-- Events that did not become a row. (source, source_seq) names the record of a spool or file, so
-- that writing it again after an unknown outcome changes nothing.
CREATE TABLE cxsink.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source uuid NOT NULL,
    source_seq bigint NOT NULL,
    stream text NOT NULL,
    received_at timestamptz NOT NULL,
    reason text NOT NULL,
    detail jsonb NOT NULL DEFAULT '[]',
    payload bytea,
    payload_sha256 bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz,
    UNIQUE (source, source_seq)
);
CREATE INDEX dead_letters_stream_received_at ON cxsink.dead_letters (stream, received_at);
CREATE INDEX dead_letters_reason ON cxsink.dead_letters (reason);
COMMENT ON COLUMN cxsink.dead_letters.payload IS 'the frame as it was received';

-- One row a stream and connection: two connections never wait for one another's row.
CREATE TABLE cxsink.stream_lanes (
    stream text,
    lane int,
    last_event_at timestamptz,
    committed_events bigint NOT NULL DEFAULT 0,
    resume_token text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, lane)
);

CREATE VIEW cxsink.stream_state AS
SELECT stream,
       max(last_event_at) AS last_event_at,
       sum(committed_events)::bigint AS committed_events,
       max(resume_token) AS resume_token
FROM cxsink.stream_lanes
GROUP BY stream;

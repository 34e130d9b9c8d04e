-- Ends of jobs that no worker was there for (cancelled before they began, given up because their
-- workers died): a daemon audits and notifies them afterwards, once. And the order of lists.
ALTER TABLE cxsink.jobs ADD COLUMN untold boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN cxsink.jobs.untold IS 'ended without a worker; a daemon has still to tell of it';
CREATE INDEX jobs_untold ON cxsink.jobs (finished_at) WHERE untold;
CREATE INDEX jobs_created_at ON cxsink.jobs (created_at, id);

CREATE OR REPLACE FUNCTION cxsink.cancel_job(id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    -- Looked up and changed by the id alone: no other index is as good, whatever the statistics say.
    was record;
BEGIN
    SELECT j.state, j.step, j.leased_by, j.finished_at INTO was
    FROM cxsink.jobs j WHERE j.id = cancel_job.id FOR UPDATE;
    IF NOT FOUND OR was.finished_at IS NOT NULL THEN
        RETURN was.state;
    ELSIF was.state = 'queued' AND was.leased_by IS NULL AND was.step = '' THEN
        UPDATE cxsink.jobs j
        SET state = 'cancelled', cancel_requested = true, finished_at = now(), untold = true,
            error = '{"message": "cancelled before it began"}'
        WHERE j.id = cancel_job.id;
        PERFORM pg_notify('cxsink_jobs', 'ended');
        RETURN 'cancelled';
    END IF;
    UPDATE cxsink.jobs j
    SET cancel_requested = true,
        run_at = CASE WHEN j.leased_by IS NULL THEN least(j.run_at, now()) ELSE j.run_at END
    WHERE j.id = cancel_job.id;
    PERFORM pg_notify('cxsink_jobs', 'cancel');
    RETURN 'requested';
END $$;

CREATE OR REPLACE FUNCTION cxsink.retry_job(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cxsink.jobs j
    SET state = 'queued', step = '', failures = 0, lease_losses = 0, cancel_requested = false,
        first_run_at = now(), run_at = now(), remote_id = NULL, untold = false,
        lease = greatest(j.lease, 1), -- the next is not its first: it was queued again
        -- A far side that did it already, unseen, does it once; one that refused it looks again.
        idempotency_key = CASE WHEN j.error ->> 'outcome' = 'unknown' OR (j.state = 'cancelled'
            AND j.step <> '' AND j.kind IN ('invoke', 'execute')) THEN j.idempotency_key END,
        progress = NULL, result = NULL, error = NULL, started_at = NULL, finished_at = NULL
    WHERE j.id = retry_job.id AND j.state IN ('failed', 'cancelled');
    IF FOUND THEN
        PERFORM pg_notify('cxsink_jobs', '');
    END IF;
    RETURN FOUND;
END $$;

-- The durable queue of REST jobs. Any application may queue a job in a transaction of its own:
--   SELECT cxsink.enqueue('open-ticket', '{"inputs": {"customerId": "c-1"}}');
CREATE TABLE cxsink.jobs (
    id text PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    action text NOT NULL,
    kind text, -- of the action; known when a daemon has taken the job
    params jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    priority int NOT NULL DEFAULT 0,
    source text NOT NULL DEFAULT 'sql',
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'polling', 'succeeded', 'failed', 'cancelled')),
    step text NOT NULL DEFAULT '',
    attempt int NOT NULL DEFAULT 0,
    failures int NOT NULL DEFAULT 0,
    lease_losses int NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    first_run_at timestamptz NOT NULL DEFAULT now(),
    run_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    leased_by uuid,
    idempotency_key uuid,
    trace_id uuid,
    remote_id text,
    progress jsonb,
    attempts jsonb NOT NULL DEFAULT '[]', -- the newest 50: {at, step, status, error, latency_ms}
    result jsonb,
    error jsonb,
    schedule_id text, -- the schedule that queued it
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
COMMENT ON TABLE cxsink.jobs IS 'REST jobs: queued, at work, and finished ones until their retention ends';
-- What may be leased, in the order of leasing.
CREATE INDEX jobs_waiting ON cxsink.jobs (priority DESC, run_at)
    WHERE leased_by IS NULL AND state IN ('queued', 'polling');
CREATE INDEX jobs_leased ON cxsink.jobs (leased_until) WHERE leased_by IS NOT NULL;
CREATE INDEX jobs_finished_at ON cxsink.jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_schedule ON cxsink.jobs (schedule_id) WHERE schedule_id IS NOT NULL;

-- Two jobs that must not run at the same time (publishers of one version) take a lock by name. It
-- belongs to the job, not to a session: it outlives a crash, as what must be undone does.
CREATE TABLE cxsink.job_locks (
    key text PRIMARY KEY,
    job_id text NOT NULL REFERENCES cxsink.jobs (id) ON DELETE CASCADE,
    taken_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_locks_job_id ON cxsink.job_locks (job_id);

-- Notifications of finished jobs that are still to be delivered, and those given up (error).
CREATE TABLE cxsink.job_notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES cxsink.jobs (id) ON DELETE CASCADE,
    action text NOT NULL,
    body jsonb NOT NULL,
    attempt int NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    error text
);
CREATE INDEX job_notifications_due ON cxsink.job_notifications (run_at) WHERE finished_at IS NULL;
CREATE INDEX job_notifications_job_id ON cxsink.job_notifications (job_id);

-- Jobs that come again. The C side parses a cron expression into sets of numbers.
CREATE TABLE cxsink.job_schedules (
    id text PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 200),
    action text NOT NULL,
    params jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    priority int NOT NULL DEFAULT 0,
    source text NOT NULL,
    every interval CHECK (every > interval '0'),
    cron text,
    minutes int[], hours int[], days int[], months int[], weekdays int[], -- of cron
    either_day boolean,
    time_zone text NOT NULL DEFAULT 'UTC',
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((every IS NULL) <> (cron IS NULL))
);

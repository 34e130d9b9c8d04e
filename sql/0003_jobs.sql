-- The durable queue of REST jobs. Any application may queue a job in a transaction of its own:
--   SELECT cxsink.enqueue('open-ticket', '{"inputs": {"customerId": "c-1"}}');
-- Workers (daemons) lease jobs for a few seconds at a time, by the server's clock; what a lease
-- stores applies only while it stands.
CREATE TABLE cxsink.jobs (
    id text PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    action text NOT NULL,
    kind text, -- of the action; known when a daemon has taken the job
    params jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    data bytea, -- the member "data" of params, where it is large
    priority int NOT NULL DEFAULT 0,
    source text NOT NULL DEFAULT 'sql', -- config, drop, submit, sql, schedule
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
    lease int NOT NULL DEFAULT 0, -- how often it was leased
    last_save bigint, -- names what was stored last, so that storing it again changes nothing
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
    finished_at timestamptz,
    CHECK (isfinite(run_at) AND isfinite(first_run_at)),
    CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL)),
    CHECK (leased_by IS NULL OR finished_at IS NULL),
    -- A running job is somebody's: it comes back when its lease ends.
    CHECK (state <> 'running' OR leased_by IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE cxsink.jobs IS
    'REST jobs: queued, at work, and finished ones until their retention ends';
-- Not compressed: a slice of it is read without the rest.
ALTER TABLE cxsink.jobs ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON COLUMN cxsink.jobs.data IS
    'the member "data" of the parameters, as it was written, where it is large; cxsink.job_params() '
    'has it in its place';
COMMENT ON COLUMN cxsink.jobs.step IS 'where the kind''s own machine stands; empty: not begun';
COMMENT ON COLUMN cxsink.jobs.progress IS 'what the kind remembers between its steps';
-- What may be leased, in the order of leasing; and when something is due. Two predicates for one
-- set: statements name the one whose index they mean, also where the server has no statistics yet.
CREATE INDEX jobs_waiting ON cxsink.jobs (action, priority DESC, run_at)
    WHERE leased_by IS NULL AND finished_at IS NULL;
CREATE INDEX jobs_due ON cxsink.jobs (run_at)
    WHERE leased_by IS NULL AND state IN ('queued', 'polling');
CREATE INDEX jobs_leased ON cxsink.jobs (leased_by) WHERE leased_by IS NOT NULL;
CREATE INDEX jobs_finished ON cxsink.jobs (state, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_scheduled ON cxsink.jobs (schedule_id)
    WHERE schedule_id IS NOT NULL AND finished_at IS NULL;

-- Two jobs that must not run at the same time (publishers of one version) take a lock by name. It
-- belongs to the job, not to a session: it outlives a crash, as what must be undone does.
CREATE TABLE cxsink.job_locks (
    key text PRIMARY KEY,
    job_id text NOT NULL REFERENCES cxsink.jobs (id) ON DELETE CASCADE,
    taken_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_locks_job_id ON cxsink.job_locks (job_id);
COMMENT ON TABLE cxsink.job_locks IS 'what unfinished jobs keep for themselves';

-- Notifications of finished jobs that are still to be delivered, and those given up (error).
CREATE TABLE cxsink.job_notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL REFERENCES cxsink.jobs (id) ON DELETE CASCADE,
    action text NOT NULL,
    body json NOT NULL, -- as it was written: it is signed
    attempt int NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    error text
);
CREATE INDEX job_notifications_due ON cxsink.job_notifications (run_at) WHERE finished_at IS NULL;
CREATE INDEX job_notifications_job_id ON cxsink.job_notifications (job_id);
COMMENT ON TABLE cxsink.job_notifications IS
    'notifications of jobs: to be delivered, delivered (finished_at), given up (error)';

-- Jobs that come again. The daemon parses a cron expression into sets of numbers.
CREATE TABLE cxsink.job_schedules (
    id text PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 200),
    action text NOT NULL,
    params jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(params) = 'object'),
    priority int NOT NULL DEFAULT 0,
    source text NOT NULL,
    origin text, -- of source config: the configuration's file
    every interval CHECK (every > interval '0'),
    cron text,
    minutes int[], hours int[], days int[], months int[], weekdays int[], -- of cron
    either_day boolean,
    time_zone text NOT NULL DEFAULT 'UTC',
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((every IS NULL) <> (cron IS NULL)),
    CHECK (cron IS NULL OR (minutes IS NOT NULL AND hours IS NOT NULL AND days IS NOT NULL
           AND months IS NOT NULL AND weekdays IS NOT NULL AND either_day IS NOT NULL))
);
CREATE INDEX job_schedules_next_at ON cxsink.job_schedules (next_at);
COMMENT ON TABLE cxsink.job_schedules IS 'jobs that come again, and when next';

-- --- for everybody -------------------------------------------------------------------------------

CREATE FUNCTION cxsink.enqueue(
    action text, params jsonb DEFAULT '{}', id text DEFAULT NULL, priority int DEFAULT 0,
    run_at timestamptz DEFAULT now(), idempotency_key uuid DEFAULT NULL, trace_id uuid DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    job_id text := coalesce(enqueue.id, gen_random_uuid()::text);
BEGIN
    INSERT INTO cxsink.jobs (id, action, params, priority, first_run_at, run_at, idempotency_key,
                             trace_id)
    VALUES (job_id, enqueue.action, coalesce(enqueue.params, '{}'), coalesce(enqueue.priority, 0),
            coalesce(enqueue.run_at, now()), coalesce(enqueue.run_at, now()),
            enqueue.idempotency_key, enqueue.trace_id)
    ON CONFLICT DO NOTHING;
    RETURN job_id;
END $$;
COMMENT ON FUNCTION cxsink.enqueue IS
    'Queues a job of a configured action as a part of the caller''s transaction, and returns its id. '
    'An id that is there already is returned and nothing is queued. The caller needs USAGE on '
    'schema cxsink and INSERT on cxsink.jobs.';

CREATE FUNCTION cxsink.cancel_job(id text) RETURNS text LANGUAGE plpgsql AS $$
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
        SET state = 'cancelled', cancel_requested = true, finished_at = now(),
            error = '{"message": "cancelled before it began"}'
        WHERE j.id = cancel_job.id;
        RETURN 'cancelled';
    END IF;
    UPDATE cxsink.jobs j
    SET cancel_requested = true,
        run_at = CASE WHEN j.leased_by IS NULL THEN least(j.run_at, now()) ELSE j.run_at END
    WHERE j.id = cancel_job.id;
    PERFORM pg_notify('cxsink_jobs', 'cancel');
    RETURN 'requested';
END $$;
COMMENT ON FUNCTION cxsink.cancel_job IS
    'Cancels a job: "cancelled" when it had not begun, "requested" when a daemon has to end it (and '
    'to undo what it did), else the state that it is finished in; NULL: there is no such job.';

CREATE FUNCTION cxsink.retry_job(id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cxsink.jobs j
    SET state = 'queued', step = '', failures = 0, lease_losses = 0, cancel_requested = false,
        first_run_at = now(), run_at = now(), remote_id = NULL,
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
COMMENT ON FUNCTION cxsink.retry_job IS
    'Queues a failed or cancelled job again, from its beginning. It gets a new idempotency key, but '
    'where nobody knows whether its request was carried out (error.outcome is "unknown", or it was '
    'cancelled at work). False: there is none of this id, or it is not finished, or it succeeded.';

CREATE FUNCTION cxsink.jobs_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('cxsink_jobs', '');
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_notify AFTER INSERT ON cxsink.jobs
    FOR EACH STATEMENT EXECUTE FUNCTION cxsink.jobs_notify();

-- Megabytes of base64 are taken out of the parameters, so that a daemon reads them in slices.
CREATE FUNCTION cxsink.jobs_data_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(NEW.params -> 'data') = 'string' AND octet_length(NEW.params ->> 'data') > 8192
       AND NEW.data IS NULL THEN
        NEW.data := convert_to(NEW.params ->> 'data', 'UTF8');
        NEW.params := NEW.params - 'data';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER jobs_data_apart BEFORE INSERT ON cxsink.jobs FOR EACH ROW
    WHEN (pg_column_size(NEW.params) > 16384) EXECUTE FUNCTION cxsink.jobs_data_apart();

CREATE FUNCTION cxsink.job_params(j cxsink.jobs) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN j.data IS NULL THEN j.params
           ELSE j.params || jsonb_build_object('data', convert_from(j.data, 'UTF8')) END
$$;
COMMENT ON FUNCTION cxsink.job_params IS 'The parameters of a job as they were queued.';

-- --- schedules -----------------------------------------------------------------------------------

-- The first moment at which the clocks of a time zone show a time. One that they skip becomes the
-- moment after the gap; of one that they show twice this is the first.
CREATE FUNCTION cxsink.local_moment(shown timestamp, time_zone text)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- Two days away there is no other change of the clocks.
    earlier timestamptz := shown AT TIME ZONE time_zone - interval '48 hours';
    later timestamptz := shown AT TIME ZONE time_zone + interval '48 hours';
    offset_before interval := (earlier AT TIME ZONE time_zone) - (earlier AT TIME ZONE 'UTC');
    offset_after interval := (later AT TIME ZONE time_zone) - (later AT TIME ZONE 'UTC');
    -- Within a gap, the change is after `low` and not after `high`.
    high timestamptz := (shown - offset_before) AT TIME ZONE 'UTC';
    low timestamptz := (shown - offset_after) AT TIME ZONE 'UTC';
    middle timestamptz;
BEGIN
    IF high AT TIME ZONE time_zone = shown THEN
        RETURN high;
    ELSIF low AT TIME ZONE time_zone = shown THEN
        RETURN low;
    END IF;
    WHILE high - low > interval '1 second' LOOP
        middle := date_trunc('second', low + (high - low) / 2);
        IF (middle AT TIME ZONE time_zone) - (middle AT TIME ZONE 'UTC') = offset_before THEN
            low := middle;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN high;
END $$;

CREATE FUNCTION cxsink.cron_next(
    minutes int[], hours int[], days int[], months int[], weekdays int[], either_day boolean,
    time_zone text, after timestamptz)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- No earlier time on the clocks is a later moment.
    first timestamp := date_trunc('minute', after AT TIME ZONE time_zone) + interval '1 minute';
    day date := first::date;
    last date := day + 36600; -- 29 February on a given weekday comes every 40 years at least
    in_days boolean;
    in_weekdays boolean;
    hour int;
    minute int;
    shown timestamp;
    moment timestamptz;
BEGIN
    minutes := ARRAY(SELECT DISTINCT m FROM unnest(minutes) m ORDER BY m);
    hours := ARRAY(SELECT DISTINCT h FROM unnest(hours) h ORDER BY h);
    WHILE day <= last LOOP
        IF date_part('month', day)::int <> ALL (months) THEN
            day := (date_trunc('month', day::timestamp) + interval '1 month')::date;
            CONTINUE;
        END IF;
        in_days := date_part('day', day)::int = ANY (days);
        in_weekdays := date_part('dow', day)::int = ANY (weekdays);
        IF (in_days AND in_weekdays) OR (either_day AND (in_days OR in_weekdays)) THEN
            FOREACH hour IN ARRAY hours LOOP
                FOREACH minute IN ARRAY minutes LOOP
                    shown := day + make_interval(hours => hour, mins => minute);
                    CONTINUE WHEN shown < first;
                    moment := cxsink.local_moment(shown, time_zone);
                    IF moment > after THEN
                        RETURN moment;
                    END IF;
                END LOOP;
            END LOOP;
        END IF;
        day := day + 1;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cxsink.cron_next IS
    'The first time after a moment that is in the sets of a cron expression (weekdays: 0 is '
    'Sunday), on the clocks of a time zone: a time that they skip is the moment after the gap, one '
    'that they show twice counts once. NULL: it never comes.';

-- Queues what is due, a job for each schedule, however many of its times have passed; none while
-- the previous one is unfinished (`job` is NULL then). `fault`: why its next time cannot be told; it
-- is tried again in an hour. Several daemons may call it at once.
CREATE FUNCTION cxsink.fire_schedules(most int)
RETURNS TABLE (schedule text, job text, fault text) LANGUAGE plpgsql AS $$
DECLARE
    s cxsink.job_schedules;
    following timestamptz;
BEGIN
    FOR s IN SELECT * FROM cxsink.job_schedules t WHERE t.next_at <= now()
             ORDER BY t.next_at LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        schedule := s.id;
        job := NULL;
        fault := NULL;
        IF NOT EXISTS (SELECT FROM cxsink.jobs j
                       WHERE j.schedule_id = s.id AND j.finished_at IS NULL) THEN
            job := s.id || '@' || rtrim(rtrim(to_char(s.next_at AT TIME ZONE 'UTC',
                'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
            INSERT INTO cxsink.jobs (id, action, params, priority, source, schedule_id)
            VALUES (job, s.action, s.params, s.priority, 'schedule', s.id)
            ON CONFLICT DO NOTHING;
        END IF;
        IF s.cron IS NULL THEN
            following := s.next_at + s.every * (1 + floor(date_part('epoch', now() - s.next_at)
                                                          / date_part('epoch', s.every)));
        ELSE
            BEGIN
                following := cxsink.cron_next(s.minutes, s.hours, s.days, s.months, s.weekdays,
                                              s.either_day, s.time_zone, now());
            EXCEPTION WHEN invalid_parameter_value THEN -- the server lost a time zone
                following := now() + interval '1 hour';
                fault := 'PostgreSQL does not know its time_zone ' || s.time_zone;
            END;
        END IF;
        UPDATE cxsink.job_schedules t SET next_at = coalesce(following, 'infinity')
        WHERE t.id = s.id;
        RETURN NEXT;
    END LOOP;
END $$;

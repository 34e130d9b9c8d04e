// SPDX-License-Identifier: Apache-2.0
// Claims: due jobs become this worker's. And what a claim brought whose answer was lost.
#include "jobs/queue_priv.h"

#include "config/load.h"
#include "core/mem.h"
#include "pg/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How long a claim waits after others got ahead of it.
#define CONTENTION_US (20 * US_PER_MS)

// The parameters where they are small: of many jobs, and compressed as they may be, they come in
// one turn of the loop.
#define COLUMNS                                             \
    JOB_COLUMNS("CASE WHEN pg_column_size(params) <= 16384" \
                " AND octet_length(params::text) <= 65536 THEN params::text END")
enum {
    OUT_ID,
    OUT_ACTION,
    OUT_PARAMS,
    OUT_DATA_LENGTH,
    OUT_STATE,
    OUT_STEP,
    OUT_ATTEMPT,
    OUT_FAILURES,
    OUT_LEASE_LOSSES,
    OUT_LEASE,
    OUT_CREATED,
    OUT_FIRST_RUN,
    OUT_KEY,
    OUT_TRACE,
    OUT_REMOTE,
    OUT_PROGRESS,
    OUT_CANCEL,
    OUT_STARTED,
    OUT_SOURCE,
    OUT_IS_NEW,
    OUT_SENT_BEFORE,
    // of a claim alone
    OUT_PRIORITY = JOB_COLUMNS_COUNT,
    OUT_RUN_AT,
    OUT_CANDIDATES,
    OUT_NEXT_DUE
};

// Each action's first ones, then the first of them all: a long queue of actions that are not asked
// for is never read. More candidates than are wanted, since others may be taking them; they are
// looked at again when they are locked, in words that fit the primary key's index alone. One row at
// least, with how many candidates there were, and in how long the next job becomes due.
static const char claim_sql[] =
    "WITH w AS (SELECT * FROM unnest($2::text[], $3::text[]) AS w(action, kind)),"
    " c AS MATERIALIZED (SELECT c.* FROM w CROSS JOIN LATERAL"
    " (SELECT id, priority, run_at FROM cxsink.jobs WHERE action = w.action AND leased_by IS NULL"
    " AND finished_at IS NULL AND run_at <= now() ORDER BY priority DESC, run_at LIMIT $4::bigint "
    "* 4) c"
    " ORDER BY priority DESC, run_at LIMIT $4::bigint * 4),"
    " p AS (SELECT j.id FROM c JOIN cxsink.jobs j ON j.id = c.id"
    " WHERE num_nulls(j.leased_by, j.finished_at) = 2 AND j.run_at + interval '0' <= now()"
    " ORDER BY c.priority DESC, c.run_at LIMIT $4::bigint FOR UPDATE OF j SKIP LOCKED),"
    " u AS (UPDATE cxsink.jobs j SET leased_by = $1::uuid, lease = j.lease + 1,"
    " leased_until = now() + $5::bigint * interval '1 microsecond', kind = w.kind,"
    " attempt = j.attempt + (j.state = 'queued')::int,"
    " state = CASE j.state WHEN 'queued' THEN 'running' ELSE j.state END,"
    " idempotency_key = coalesce(j.idempotency_key, gen_random_uuid()),"
    " trace_id = coalesce(j.trace_id, gen_random_uuid()),"
    " started_at = coalesce(j.started_at, now())"
    " FROM p, w WHERE j.id = p.id AND w.action = j.action RETURNING j.*)"
    " SELECT u.*, (SELECT count(*) FROM c), (SELECT"
    " ceil(date_part('epoch', min(run_at) - now()) * 1000000)::bigint FROM cxsink.jobs"
    " WHERE leased_by IS NULL AND state IN ('queued', 'polling') AND run_at > now())"
    " FROM (VALUES (1)) one LEFT JOIN (SELECT " COLUMNS
    " AS sent_before, priority, run_at FROM u) u ON true"
    " ORDER BY u.priority DESC, u.run_at";

static const char recover_sql[] =
    "SELECT " COLUMNS " FROM cxsink.jobs WHERE leased_by = $1::uuid ORDER BY priority DESC, run_at";

// --- rows ----------------------------------------------------------------------------------------

char *queue_read_text(const struct pg_result *result, int row, int column)
{
    if (pg_result_is_null(result, row, column))
        return NULL;
    return mem_strndup(pg_result_text(result, row, column),
                       (size_t)pg_result_length(result, row, column));
}

static long long whole(const struct pg_result *result, int row, int column)
{
    return strtoll(pg_result_text(result, row, column), NULL, 10);
}

struct job *queue_read_job(const struct pg_result *result, int row)
{
    struct job *job = mem_zalloc(sizeof(*job));
    job->id = queue_read_text(result, row, OUT_ID);
    job->action = queue_read_text(result, row, OUT_ACTION);
    job->params = queue_read_text(result, row, OUT_PARAMS);
    job->params_length = (size_t)pg_result_length(result, row, OUT_PARAMS);
    job->data.length = (size_t)whole(result, row, OUT_DATA_LENGTH);              // of NULL 0
    (void)!job_state_parse(pg_result_text(result, row, OUT_STATE), &job->state); // by its CHECK
    snprintf(job->step, sizeof(job->step), "%s", pg_result_text(result, row, OUT_STEP));
    job->attempt = (unsigned)whole(result, row, OUT_ATTEMPT);
    job->failures = (unsigned)whole(result, row, OUT_FAILURES);
    job->lease_losses = (unsigned)whole(result, row, OUT_LEASE_LOSSES);
    job->lease = (unsigned)whole(result, row, OUT_LEASE);
    job->created_us = whole(result, row, OUT_CREATED);
    job->first_run_us = whole(result, row, OUT_FIRST_RUN);
    job->started_us = whole(result, row, OUT_STARTED);
    snprintf(job->idempotency_key, sizeof(job->idempotency_key), "%s",
             pg_result_text(result, row, OUT_KEY));
    snprintf(job->trace_id, sizeof(job->trace_id), "%s", pg_result_text(result, row, OUT_TRACE));
    job->remote_id = queue_read_text(result, row, OUT_REMOTE);
    job->progress = queue_read_text(result, row, OUT_PROGRESS);
    // A worker that died may have been sending.
    job->sent_before = pg_result_text(result, row, OUT_SENT_BEFORE)[0] == 't';
    snprintf(job->source, sizeof(job->source), "%s", pg_result_text(result, row, OUT_SOURCE));
    job->is_new = pg_result_text(result, row, OUT_IS_NEW)[0] == 't';
    job->cancel_requested = pg_result_text(result, row, OUT_CANCEL)[0] == 't';
    return job;
}

static void add_job(struct queue *queue, struct job *job)
{
    if (queue->claim.n_jobs == queue->claim.cap_jobs) {
        queue->claim.cap_jobs = queue->claim.cap_jobs == 0 ? 16 : queue->claim.cap_jobs * 2;
        queue->claim.jobs =
            mem_realloc_array(queue->claim.jobs, queue->claim.cap_jobs, sizeof(*queue->claim.jobs));
    }
    queue->claim.jobs[queue->claim.n_jobs++] = job;
}

static void drop_jobs(struct queue *queue)
{
    for (size_t i = 0; i < queue->claim.n_jobs; i++)
        job_free(&queue->claim.jobs[i]);
    queue->claim.n_jobs = 0;
}

// Leases first: their owner may save at once.
static void hand_over(struct queue *queue)
{
    size_t n = queue->claim.n_jobs;
    for (size_t i = 0; i < n; i++)
        leases_add(queue, queue->claim.jobs[i]);
    for (size_t i = 0; i < n && !queue_stopping(queue); i++) {
        struct job *job = queue->claim.jobs[i];
        queue->claim.jobs[i] = NULL;
        queue->settings.callbacks.claimed(queue->settings.owner, job);
    }
    drop_jobs(queue);
}

// --- claims --------------------------------------------------------------------------------------

static void forget(struct queue *queue)
{
    queue->claim.wanted = false;
    free(queue->claim.actions);
    queue->claim.actions = NULL;
}

void queue_claim(struct queue *queue, unsigned max, const bool *wanted)
{
    size_t n = queue->settings.config->jobs.n_actions;
    bool any = false;
    if (!queue->settings.worker || queue_stopping(queue))
        return;
    forget(queue);
    for (size_t i = 0; i < n; i++)
        any |= wanted[i];
    if (!any || max == 0)
        return;
    queue->claim.actions = mem_alloc(n * sizeof(*wanted));
    memcpy(queue->claim.actions, wanted, n * sizeof(*wanted));
    queue->claim.max = max;
    queue->claim.wanted = true;
    queue_pump_soon(queue);
}

void claim_cancel(struct queue *queue)
{
    if (queue->claim.wanted)
        queue->claim.failed = queue->claim.max;
    forget(queue);
}

void claim_tell_void(struct queue *queue)
{
    unsigned asked = queue->claim.failed;
    queue->claim.failed = 0;
    if (asked > 0)
        queue->settings.callbacks.claim_done(queue->settings.owner, asked, 0);
}

static bool claim_wanted(struct queue *queue)
{
    return queue->claim.wanted && queue->stop.fn == NULL;
}

static void put_actions(struct queue *queue)
{
    const struct config_jobs *jobs = &queue->settings.config->jobs;
    size_t n = 0;
    for (size_t i = 0; i < jobs->n_actions; i++)
        n += queue->claim.actions[i];
    struct buf *actions = params_array(&queue->params, PG_TEXT, n);
    struct buf *kinds = params_array(&queue->params, PG_TEXT, n);
    for (size_t i = 0; i < jobs->n_actions; i++) {
        if (!queue->claim.actions[i])
            continue;
        params_put_text(actions, jobs->actions[i].name);
        params_put_text(kinds, job_kind(jobs->actions[i].kind)->name);
    }
}

static void send_claim(struct queue *queue)
{
    struct params *p = &queue->params;
    params_clear(p);
    params_text(p, queue->worker);
    put_actions(queue);
    params_int(p, queue->claim.max);
    params_int(p, JOB_LEASE_US);
    queue_send(queue, &part_claim, claim_sql, p);
    queue->claim.asked = queue->claim.max;
    queue->claim.got = 0;
    forget(queue);
}

static void read_claim(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        if (!pg_result_is_null(result, row, OUT_ID)) {
            add_job(queue, queue_read_job(result, row));
            queue->claim.got++;
        }
    }
    bool none = pg_result_is_null(result, 0, OUT_NEXT_DUE);
    queue->claim.next_due_us = none ? INT64_MAX : whole(result, 0, OUT_NEXT_DUE);
    // Others were quicker, or are about to be: there may be more behind what they took.
    if (queue->claim.got < queue->claim.asked &&
        whole(result, 0, OUT_CANDIDATES) > (long long)queue->claim.got)
        queue->claim.next_due_us = CONTENTION_US;
}

static void claimed(struct queue *queue)
{
    if (queue->claim.next_due_us != INT64_MAX)
        queue_wake_in(queue, queue->claim.next_due_us);
    hand_over(queue);
    if (!queue_stopping(queue))
        queue->settings.callbacks.claim_done(queue->settings.owner, queue->claim.asked,
                                             queue->claim.got);
}

// Not sent again: what it brought comes as recovered, and its owner is told and woken.
static void claim_aborted(struct queue *queue)
{
    drop_jobs(queue);
    queue->claim.failed = queue->claim.asked;
    queue_wake_in(queue, US_PER_S);
}

const struct part part_claim = {.name = "a claim",
                                .wanted = claim_wanted,
                                .send = send_claim,
                                .result = read_claim,
                                .committed = claimed,
                                .aborted = claim_aborted};

// --- claims whose answer was lost ----------------------------------------------------------------

static bool recover_wanted(struct queue *queue)
{
    return queue->leases.recover && queue->stop.fn == NULL;
}

static void send_recover(struct queue *queue)
{
    params_clear(&queue->params);
    params_text(&queue->params, queue->worker);
    queue_send(queue, &part_recover, recover_sql, &queue->params);
}

static void read_recovered(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        struct job *job = queue_read_job(result, row);
        if (leases_has(queue, job->id, job->lease))
            job_free(&job);
        else
            add_job(queue, job);
    }
}

static void recovered(struct queue *queue)
{
    queue->leases.recover = false;
    hand_over(queue);
}

const struct part part_recover = {.name = "asking for one's leases",
                                  .wanted = recover_wanted,
                                  .send = send_recover,
                                  .result = read_recovered,
                                  .committed = recovered,
                                  .aborted = drop_jobs};

void claim_free(struct queue *queue)
{
    drop_jobs(queue);
    free(queue->claim.jobs);
    forget(queue);
}

// SPDX-License-Identifier: Apache-2.0
// What any worker does for all: takes over what dead workers left, fires schedules, deletes old
// jobs, counts. And LISTEN.
#include "jobs/queue_priv.h"

#include "config/load.h"
#include "core/loop.h"
#include "pg/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCHEDULES_US US_PER_S
#define RETENTION_US (60 * US_PER_S)
#define COUNTS_US (5 * US_PER_S)
// Counting takes at most a fiftieth of the time.
#define COUNTS_SHARE 50
// Rows of one statement.
#define TAKEOVER_MAX 200
#define SCHEDULES_MAX 100
#define RETENTION_MAX 500

static bool due(struct queue *queue, const struct clockwork *c)
{
    return queue->settings.worker && queue->stop.fn == NULL && clockwork_due(queue, c);
}

// --- sentences, told at the commit ---------------------------------------------------------------

static void note_level(struct queue *queue, enum log_level level)
{
    char byte = (char)level;
    buf_append(&queue->upkeep.sentences, &byte, 1);
}

static void note_end(struct queue *queue)
{
    buf_append(&queue->upkeep.sentences, "", 1);
}

static void tell_notes(struct queue *queue)
{
    struct buf notes = queue->upkeep.sentences;
    queue->upkeep.sentences = (struct buf){0};
    for (size_t at = 0; at < notes.len; at += 1 + strlen(notes.data + at + 1) + 1)
        queue_tell(queue, (enum log_level)notes.data[at], "%s", notes.data + at + 1);
    buf_deinit(&notes);
}

static void drop_notes(struct queue *queue)
{
    buf_clear(&queue->upkeep.sentences);
    buf_clear(&queue->upkeep.queued);
}

// --- LISTEN --------------------------------------------------------------------------------------

static bool listen_wanted(struct queue *queue)
{
    return queue->settings.worker && !queue->listening;
}

static void send_listen(struct queue *queue)
{
    queue_send(queue, &part_listen, "LISTEN " QUEUE_CHANNEL, NULL);
}

static void listen_committed(struct queue *queue)
{
    queue->listening = true;
}

static void nothing(struct queue *queue)
{
    (void)queue;
}

const struct part part_listen = {.name = "LISTEN",
                                 .wanted = listen_wanted,
                                 .send = send_listen,
                                 .committed = listen_committed,
                                 .aborted = nothing};

// --- takeover ------------------------------------------------------------------------------------

// From the second loss on they come back apart from each other, so that a job that kills its
// workers does not take those with it that happen to be beside it. After JOB_LEASE_LOSSES_MAX the
// next worker gives it up, and undoes what must be undone; only one that kills those workers, too,
// is given up here.
static const char takeover_sql[] =
    "WITH e AS (SELECT id FROM cxsink.jobs WHERE leased_by IS NOT NULL AND leased_until < now()"
    " AND NOT (leased_by = $1::uuid AND id = ANY ($2::text[]))"
    " LIMIT $3::bigint FOR UPDATE SKIP LOCKED),"
    " u AS (UPDATE cxsink.jobs j SET leased_by = NULL, leased_until = NULL,"
    " lease_losses = j.lease_losses + 1, run_at = CASE j.lease_losses WHEN 0 THEN"
    " least(j.run_at, now()) ELSE now() + j.lease_losses * random() * interval '2 s' END,"
    " state = CASE WHEN j.lease_losses + 1 >= $4::bigint THEN 'failed'"
    " WHEN j.state = 'running' THEN 'queued' ELSE j.state END,"
    " finished_at = CASE WHEN j.lease_losses + 1 >= $4::bigint THEN now() END,"
    " error = CASE WHEN j.lease_losses + 1 >= $4::bigint THEN jsonb_build_object('outcome',"
    " 'unknown', 'message',"
    " format('given up: %s workers died while they held it, the last one %s; see by hand to what"
    " it did', j.lease_losses + 1,"
    " CASE j.step WHEN '' THEN 'at its beginning' ELSE format('in step \"%s\"', j.step) END))"
    " ELSE j.error END, untold = j.lease_losses + 1 >= $4::bigint"
    " FROM e WHERE j.id = e.id RETURNING j.id, j.state, j.lease_losses),"
    " k AS (DELETE FROM cxsink.job_locks k USING u WHERE k.job_id = u.id AND u.state = 'failed')"
    " SELECT id, state, lease_losses FROM u";

static bool takeover_wanted(struct queue *queue)
{
    return due(queue, &queue->upkeep.takeover);
}

static void send_takeover(struct queue *queue)
{
    struct params *p = &queue->params;
    clockwork_wind(queue, &queue->upkeep.takeover);
    params_clear(p);
    params_text(p, queue->worker);
    leases_put_ids(queue, p);
    params_int(p, TAKEOVER_MAX);
    params_int(p, 2 * JOB_LEASE_LOSSES_MAX);
    queue_send(queue, &part_takeover, takeover_sql, p);
}

static void read_takeover(struct queue *queue, const struct pg_result *result)
{
    struct buf *out = &queue->upkeep.sentences;
    for (int row = 0; row < pg_result_rows(result); row++) {
        const char *id = pg_result_text(result, row, 0);
        bool failed = strcmp(pg_result_text(result, row, 1), "failed") == 0;
        note_level(queue, failed ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN);
        if (failed) {
            buf_printf(out, "job %s failed: %s workers died while they held it", id,
                       pg_result_text(result, row, 2));
            ends_soon(queue);
        } else {
            buf_printf(out, "job %s goes on: the worker that held it let its lease run out", id);
        }
        note_end(queue);
    }
    if (pg_result_rows(result) == TAKEOVER_MAX)
        clockwork_start(&queue->upkeep.takeover, loop_now(queue->settings.loop), JOB_TAKEOVER_US);
}

static void taken_over(struct queue *queue)
{
    if (queue->upkeep.sentences.len > 0)
        queue_wake_in(queue, 0);
    tell_notes(queue);
    queue_tell_queued(queue, "schedule", &queue->upkeep.queued);
}

const struct part part_takeover = {.name = "the takeover of jobs",
                                   .periodic = true,
                                   .wanted = takeover_wanted,
                                   .send = send_takeover,
                                   .result = read_takeover,
                                   .committed = taken_over,
                                   .aborted = drop_notes};

// --- schedules -----------------------------------------------------------------------------------

static bool schedules_wanted(struct queue *queue)
{
    return due(queue, &queue->upkeep.schedules);
}

static void send_schedules(struct queue *queue)
{
    clockwork_wind(queue, &queue->upkeep.schedules);
    params_clear(&queue->params);
    params_int(&queue->params, SCHEDULES_MAX);
    queue_send(queue, &part_schedules,
               "SELECT f.job, s.action, f.schedule, f.fault FROM cxsink.fire_schedules($1::int) f"
               " JOIN cxsink.job_schedules s ON s.id = f.schedule",
               &queue->params);
}

static void read_schedules(struct queue *queue, const struct pg_result *result)
{
    struct buf *out = &queue->upkeep.sentences;
    for (int row = 0; row < pg_result_rows(result); row++) {
        const char *schedule = pg_result_text(result, row, 2);
        bool skipped = pg_result_is_null(result, row, 0);
        note_level(queue, skipped ? LOG_LEVEL_WARN : LOG_LEVEL_INFO);
        if (skipped)
            buf_printf(out, "schedule %s: its previous job is unfinished; this time is left out",
                       schedule);
        else
            buf_printf(out, "schedule %s: queued job %s", schedule, pg_result_text(result, row, 0));
        note_end(queue);
        if (!skipped)
            queue_note_queued(&queue->upkeep.queued, result, row);
        if (pg_result_is_null(result, row, 3))
            continue;
        note_level(queue, LOG_LEVEL_ERROR);
        buf_printf(out, "schedule %s: %s; trying again in an hour", schedule,
                   pg_result_text(result, row, 3));
        note_end(queue);
    }
    if (pg_result_rows(result) == SCHEDULES_MAX)
        clockwork_start(&queue->upkeep.schedules, loop_now(queue->settings.loop), SCHEDULES_US);
}

const struct part part_schedules = {.name = "firing schedules",
                                    .periodic = true,
                                    .wanted = schedules_wanted,
                                    .send = send_schedules,
                                    .result = read_schedules,
                                    .committed = taken_over,
                                    .aborted = drop_notes};

// --- retention -----------------------------------------------------------------------------------

// Those of the configuration stay: an id never runs twice.
static const char retention_sql[] =
    "DELETE FROM cxsink.jobs WHERE id IN (SELECT id FROM cxsink.jobs"
    " WHERE finished_at < now() - $1::bigint * interval '1 microsecond'"
    " AND state IN ('succeeded', 'failed', 'cancelled') AND source <> 'config'"
    " LIMIT $2::bigint FOR UPDATE SKIP LOCKED)";

static bool retention_wanted(struct queue *queue)
{
    return queue->settings.config->jobs.retention_us > 0 && due(queue, &queue->upkeep.retention);
}

static void send_retention(struct queue *queue)
{
    clockwork_wind(queue, &queue->upkeep.retention);
    params_clear(&queue->params);
    params_int(&queue->params, queue->settings.config->jobs.retention_us);
    params_int(&queue->params, RETENTION_MAX);
    queue_send(queue, &part_retention, retention_sql, &queue->params);
}

static void read_retention(struct queue *queue, const struct pg_result *result)
{
    uint64_t n = (uint64_t)pg_result_affected(result);
    queue->upkeep.deleted += n;
    if (n == RETENTION_MAX) {
        clockwork_start(&queue->upkeep.retention, loop_now(queue->settings.loop), RETENTION_US);
        return;
    }
    if (queue->upkeep.deleted == 0)
        return;
    note_level(queue, LOG_LEVEL_INFO);
    buf_printf(&queue->upkeep.sentences,
               "deleted %" PRIu64 " finished jobs that were older than jobs.retention",
               queue->upkeep.deleted);
    note_end(queue);
    queue->upkeep.deleted = 0;
}

const struct part part_retention = {.name = "the retention of jobs",
                                    .periodic = true,
                                    .wanted = retention_wanted,
                                    .send = send_retention,
                                    .result = read_retention,
                                    .committed = tell_notes,
                                    .aborted = drop_notes};

// --- counts --------------------------------------------------------------------------------------

// Unfinished jobs by state and action ($1: the actions here; NULL for those), the finished by
// state, and how long the oldest one that is due waits.
static const char counts_sql[] =
    "SELECT state, CASE WHEN action <> ALL ($1::text[]) THEN action END, count(*)"
    " FROM (SELECT state, action FROM cxsink.jobs WHERE leased_by IS NULL AND finished_at IS NULL"
    " UNION ALL SELECT state, NULL FROM cxsink.jobs WHERE leased_by IS NOT NULL) j GROUP BY 1, 2"
    " UNION ALL SELECT state, NULL, count(*) FROM cxsink.jobs WHERE finished_at IS NOT NULL"
    " GROUP BY 1"
    " UNION ALL SELECT NULL, NULL, (date_part('epoch', now() - min(run_at)) * 1000000)::bigint"
    " FROM cxsink.jobs WHERE leased_by IS NULL AND state IN ('queued', 'polling')"
    " AND run_at <= now()"
    " ORDER BY 2, 1";

static bool counts_wanted(struct queue *queue)
{
    return due(queue, &queue->upkeep.counts);
}

static void send_counts(struct queue *queue)
{
    const struct config_jobs *jobs = &queue->settings.config->jobs;
    queue->upkeep.asked_at = mono_read();
    params_clear(&queue->params);
    struct buf *actions = params_array(&queue->params, PG_TEXT, jobs->n_actions);
    for (size_t i = 0; i < jobs->n_actions; i++)
        params_put_text(actions, jobs->actions[i].name);
    queue_send(queue, &part_counts, counts_sql, &queue->params);
}

static void read_count(struct queue *queue, const struct pg_result *result, int row)
{
    enum job_state state;
    uint64_t n = strtoull(pg_result_text(result, row, 2), NULL, 10);
    if (pg_result_is_null(result, row, 0)) {
        queue->upkeep.counts_next.oldest_us = (int64_t)n;
        return;
    }
    if (job_state_parse(pg_result_text(result, row, 0), &state))
        queue->upkeep.counts_next.by_state[state] += n;
    if (pg_result_is_null(result, row, 1))
        return;
    queue->upkeep.unknown_jobs += n;
    const char *action = pg_result_text(result, row, 1);
    if (row > 0 && strcmp(action, pg_result_text(result, row - 1, 1)) == 0)
        return; // in another state
    buf_printf(&queue->upkeep.unknown, "%s%s", queue->upkeep.unknown.len > 0 ? ", " : "", action);
}

static void read_counts(struct queue *queue, const struct pg_result *result)
{
    queue->upkeep.counts_next = (struct queue_counts){0};
    queue->upkeep.unknown_jobs = 0;
    buf_clear(&queue->upkeep.unknown);
    for (int row = 0; row < pg_result_rows(result); row++)
        read_count(queue, result, row);
}

// When the list of names is another one.
static void tell_unknown(struct queue *queue)
{
    const char *names = buf_text(&queue->upkeep.unknown);
    if (strcmp(names, buf_text(&queue->upkeep.unknown_told)) == 0)
        return;
    buf_clear(&queue->upkeep.unknown_told);
    buf_append_text(&queue->upkeep.unknown_told, names);
    if (names[0] != '\0')
        queue_tell(queue, LOG_LEVEL_WARN,
                   "%" PRIu64 " queued job%s actions that no configuration here has: %s",
                   queue->upkeep.unknown_jobs,
                   queue->upkeep.unknown_jobs == 1 ? " names" : "s name", names);
}

static void counted(struct queue *queue)
{
    int64_t took_us = mono_diff(mono_read(), queue->upkeep.asked_at);
    queue->upkeep.counts_now = queue->upkeep.counts_next;
    queue->upkeep.counts.period_us =
        took_us * COUNTS_SHARE > COUNTS_US ? took_us * COUNTS_SHARE : COUNTS_US;
    clockwork_wind(queue, &queue->upkeep.counts);
    tell_unknown(queue);
}

static void counts_aborted(struct queue *queue)
{
    clockwork_wind(queue, &queue->upkeep.counts);
}

const struct part part_counts = {.name = "counting jobs",
                                 .periodic = true,
                                 .wanted = counts_wanted,
                                 .send = send_counts,
                                 .result = read_counts,
                                 .committed = counted,
                                 .aborted = counts_aborted};

const struct queue_counts *queue_counts(const struct queue *queue)
{
    return &queue->upkeep.counts_now;
}

// --- life ----------------------------------------------------------------------------------------

void upkeep_start(struct queue *queue)
{
    struct mono now = loop_now(queue->settings.loop);
    clockwork_start(&queue->upkeep.takeover, now, JOB_TAKEOVER_US);
    clockwork_start(&queue->upkeep.schedules, now, SCHEDULES_US);
    clockwork_start(&queue->upkeep.retention, now, RETENTION_US);
    clockwork_start(&queue->upkeep.counts, now, COUNTS_US);
    ends_soon(queue);
    clockwork_start(&queue->leases.beat, now, JOB_HEARTBEAT_US);
}

void upkeep_free(struct queue *queue)
{
    buf_deinit(&queue->upkeep.sentences);
    buf_deinit(&queue->upkeep.queued);
    buf_deinit(&queue->upkeep.unknown);
    buf_deinit(&queue->upkeep.unknown_told);
}

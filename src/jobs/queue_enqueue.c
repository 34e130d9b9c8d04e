// SPDX-License-Identifier: Apache-2.0
// Putting jobs and schedules on the queue: a transaction for each call of queue_enqueue().
#include "jobs/queue_priv.h"

#include "config/load.h"
#include "core/mem.h"
#include "jobs/cron.h"
#include "pg/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct enqueue {
    struct item item;
    struct params jobs, schedules, all;
    size_t n_jobs, n_schedules, n_new;
    bool is_config;
    bool removes;       // schedules that are not among these
    struct buf changed; // "a", "b": ids that are there with other parameters
    struct buf queued;  // id and action of each new job, with their NULs
    char *source;
    queue_enqueue_fn fn;
};

// A microsecond apart, so that they are taken in their order. Returns those that are new, and of
// the configuration's (in one row, without an id) those that are there already and not as it says
// now.
static const char jobs_sql[] =
    "WITH s AS (SELECT s.*, coalesce(s.run_at, now() + s.n * interval '1 microsecond') AS at"
    " FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],"
    " $7::timestamptz[]) WITH ORDINALITY AS s(id, action, kind, params, priority, run_at, n)),"
    " i AS (INSERT INTO cxsink.jobs (id, action, kind, params, priority, source, run_at,"
    " first_run_at) SELECT id, action, kind, params::jsonb, priority, $1::text, at, at FROM s"
    " ON CONFLICT (id) DO NOTHING RETURNING id, action)"
    " SELECT id, action FROM i"
    " UNION ALL SELECT NULL, string_agg('\"' || s.id || '\"', ', ' ORDER BY s.n)"
    " FROM s JOIN cxsink.jobs j ON j.id = s.id WHERE $1::text = 'config'"
    " AND (j.action, cxsink.job_params(j)) IS DISTINCT FROM (s.action, s.params::jsonb)";

// Those of the configuration follow it; of the others the first one stays.
static const char schedules_sql[] =
    "INSERT INTO cxsink.job_schedules AS t (id, action, params, priority, source, origin, every,"
    " cron, minutes, hours, days, months, weekdays, either_day, time_zone, next_at)"
    " SELECT s.id, s.action, s.params::jsonb, s.priority, $1::text, $2::text,"
    " s.every * interval '1 microsecond', s.cron, s.minutes::int[], s.hours::int[], s.days::int[],"
    " s.months::int[], s.weekdays::int[], s.either_day::boolean, s.time_zone,"
    " CASE WHEN s.cron IS NULL THEN coalesce(s.run_at, now()) ELSE"
    " cxsink.cron_next(s.minutes::int[], s.hours::int[], s.days::int[], s.months::int[],"
    " s.weekdays::int[], s.either_day::boolean, s.time_zone,"
    " greatest(now(), s.run_at - interval '1 microsecond')) END"
    " FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[],"
    " $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],"
    " $15::text[], $16::text[]) AS s(id, action, params, priority, run_at, every, cron, minutes,"
    " hours, days, months, weekdays, either_day, time_zone)"
    " ON CONFLICT (id) DO UPDATE SET action = excluded.action, params = excluded.params,"
    " priority = excluded.priority, source = excluded.source, origin = excluded.origin,"
    " every = excluded.every, cron = excluded.cron, minutes = excluded.minutes,"
    " hours = excluded.hours, days = excluded.days, months = excluded.months,"
    " weekdays = excluded.weekdays, either_day = excluded.either_day,"
    " time_zone = excluded.time_zone,"
    " next_at = CASE WHEN (t.every, t.cron, t.time_zone) IS NOT DISTINCT FROM"
    " (excluded.every, excluded.cron, excluded.time_zone) THEN t.next_at ELSE excluded.next_at END"
    " WHERE excluded.source = 'config' AND (t.action, t.params, t.priority, t.source, t.origin,"
    " t.every, t.cron, t.time_zone) IS DISTINCT FROM (excluded.action, excluded.params,"
    " excluded.priority, excluded.source, excluded.origin, excluded.every, excluded.cron,"
    " excluded.time_zone)"
    " RETURNING xmax = 0";

// Those that this configuration's file does not have any more.
static const char remove_sql[] =
    "DELETE FROM cxsink.job_schedules WHERE source = 'config' AND origin = $1::text"
    " AND id <> ALL ($2::text[])";

// --- what is to be queued ------------------------------------------------------------------------

static bool is_schedule(const struct submission *s)
{
    return s->every_us > 0 || s->cron != NULL;
}

static void put_int(struct buf *array, int64_t value)
{
    if (value > 0)
        array_put_int8(array, value);
    else
        array_put_null(array);
}

static void put_time(struct buf *array, int64_t wall_us)
{
    if (wall_us > 0)
        array_put_time(array, wall_us);
    else
        array_put_null(array);
}

// "{0,15,30}"; of no expression NULL.
static void put_set(struct buf *array, bool there, uint64_t set)
{
    struct buf text = {0};
    for (unsigned i = 0; i < 64 && there; i++) {
        if ((set >> i & 1) != 0)
            buf_printf(&text, "%s%u", text.len == 0 ? "{" : ",", i);
    }
    if (there)
        buf_append_text(&text, "}");
    params_put_text(array, there ? buf_text(&text) : NULL);
    buf_deinit(&text);
}

static void add_jobs(struct enqueue *e, const struct config *config, const struct submissions *jobs,
                     const char *source)
{
    static const uint32_t types[] = {PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8, PG_TIMESTAMPTZ};
    struct buf *columns[sizeof(types) / sizeof(types[0])];
    params_text(&e->jobs, source);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        columns[i] = params_array(&e->jobs, types[i], e->n_jobs);
    for (size_t i = 0; i < jobs->count; i++) {
        const struct submission *s = &jobs->items[i];
        if (is_schedule(s))
            continue;
        const struct config_action *action = &config->jobs.actions[s->action];
        params_put_text(columns[0], s->id);
        params_put_text(columns[1], action->name);
        params_put_text(columns[2], job_kind(action->kind)->name);
        params_put_text(columns[3], s->params);
        array_put_int8(columns[4], s->priority);
        put_time(columns[5], s->run_at_us);
    }
}

enum {
    COLUMN_ID,
    COLUMN_ACTION,
    COLUMN_PARAMS,
    COLUMN_PRIORITY,
    COLUMN_RUN_AT,
    COLUMN_EVERY,
    COLUMN_CRON,
    COLUMN_MINUTES,
    COLUMN_HOURS,
    COLUMN_DAYS,
    COLUMN_MONTHS,
    COLUMN_WEEKDAYS,
    COLUMN_EITHER,
    COLUMN_TIME_ZONE,
    COLUMNS
};

static void add_schedule(struct buf **columns, const struct config *config,
                         const struct submission *s)
{
    struct cron cron = {0};
    bool is_cron = s->cron != NULL;
    if (is_cron)
        (void)!cron_parse(s->cron, &cron, NULL); // it was when it was submitted
    params_put_text(columns[COLUMN_ID], s->id);
    params_put_text(columns[COLUMN_ACTION], config->jobs.actions[s->action].name);
    params_put_text(columns[COLUMN_PARAMS], s->params);
    array_put_int8(columns[COLUMN_PRIORITY], s->priority);
    put_time(columns[COLUMN_RUN_AT], s->run_at_us);
    put_int(columns[COLUMN_EVERY], s->every_us);
    params_put_text(columns[COLUMN_CRON], s->cron);
    put_set(columns[COLUMN_MINUTES], is_cron, cron.minutes);
    put_set(columns[COLUMN_HOURS], is_cron, cron.hours);
    put_set(columns[COLUMN_DAYS], is_cron, cron.days);
    put_set(columns[COLUMN_MONTHS], is_cron, cron.months);
    put_set(columns[COLUMN_WEEKDAYS], is_cron, cron.weekdays);
    params_put_text(columns[COLUMN_EITHER], !is_cron ? NULL : cron.either_day ? "t" : "f");
    params_put_text(columns[COLUMN_TIME_ZONE], s->time_zone != NULL ? s->time_zone : "UTC");
}

static void add_schedules(struct enqueue *e, const struct config *config,
                          const struct submissions *jobs, const char *source)
{
    struct buf *columns[COLUMNS];
    const char *origin = e->is_config ? config->path : NULL;
    params_text(&e->schedules, source);
    params_text(&e->schedules, origin);
    params_text(&e->all, origin);
    for (size_t i = 0; i < COLUMNS; i++) {
        uint32_t type = i == COLUMN_PRIORITY || i == COLUMN_EVERY ? PG_INT8
                        : i == COLUMN_RUN_AT                      ? PG_TIMESTAMPTZ
                                                                  : PG_TEXT;
        columns[i] = params_array(&e->schedules, type, e->n_schedules);
    }
    struct buf *ids = params_array(&e->all, PG_TEXT, e->n_schedules);
    for (size_t i = 0; i < jobs->count; i++) {
        if (!is_schedule(&jobs->items[i]))
            continue;
        add_schedule(columns, config, &jobs->items[i]);
        params_put_text(ids, jobs->items[i].id);
    }
}

void queue_enqueue(struct queue *queue, const struct config *config, const struct submissions *jobs,
                   const char *source, queue_enqueue_fn fn, void *owner)
{
    struct enqueue *e = mem_zalloc(sizeof(*e));
    e->item.owner = owner;
    e->fn = fn;
    e->source = mem_strdup(source);
    e->is_config = strcmp(source, "config") == 0;
    e->removes = e->is_config && !jobs->partial;
    for (size_t i = 0; i < jobs->count; i++)
        e->n_schedules += is_schedule(&jobs->items[i]);
    e->n_jobs = jobs->count - e->n_schedules;
    add_jobs(e, config, jobs, source);
    add_schedules(e, config, jobs, source);
    list_push(&queue->enqueues, &e->item);
    queue_pump_soon(queue);
}

static void free_enqueue(struct item *item)
{
    struct enqueue *e = (struct enqueue *)item;
    params_deinit(&e->jobs);
    params_deinit(&e->schedules);
    params_deinit(&e->all);
    buf_deinit(&e->changed);
    buf_deinit(&e->queued);
    free(e->source);
    free(e);
}

void enqueues_free(struct queue *queue)
{
    list_free(&queue->enqueues, free_enqueue);
}

// --- telling -------------------------------------------------------------------------------------

void queue_note_queued(struct buf *list, const struct pg_result *result, int row)
{
    for (int column = 0; column < 2; column++)
        buf_append(list, pg_result_text(result, row, column),
                   (size_t)pg_result_length(result, row, column) + 1);
}

void queue_tell_queued(struct queue *queue, const char *source, struct buf *list)
{
    if (list->len > 0 && queue->settings.callbacks.queued != NULL && !queue_stopping(queue))
        queue->settings.callbacks.queued(queue->settings.owner, source, list);
    buf_clear(list);
}

// --- sending -------------------------------------------------------------------------------------

static bool enqueue_wanted(struct queue *queue)
{
    return queue->enqueues.count > 0;
}

static void send_enqueue(struct queue *queue)
{
    struct enqueue *e = (struct enqueue *)queue->enqueues.first;
    e->n_new = 0;
    buf_clear(&e->changed);
    buf_clear(&e->queued);
    if (e->n_jobs > 0)
        queue_send(queue, &part_enqueue, jobs_sql, &e->jobs);
    if (e->n_schedules > 0)
        queue_send(queue, &part_enqueue, schedules_sql, &e->schedules);
    if (e->removes)
        queue_send(queue, &part_enqueue, remove_sql, &e->all);
    else if (e->n_jobs + e->n_schedules == 0)
        queue_send(queue, &part_enqueue, "SELECT WHERE false", NULL);
}

static void read_enqueue(struct queue *queue, const struct pg_result *result)
{
    struct enqueue *e = (struct enqueue *)queue->enqueues.first;
    bool of_jobs = pg_result_columns(result) == 2; // else schedules_sql
    for (int row = 0; row < pg_result_rows(result); row++) {
        if (!of_jobs) {
            e->n_new += pg_result_text(result, row, 0)[0] == 't';
        } else if (pg_result_is_null(result, row, 0)) {
            buf_append_text(&e->changed, pg_result_text(result, row, 1)); // NULL is empty
        } else {
            queue_note_queued(&e->queued, result, row);
            e->n_new++;
        }
    }
}

static void finish(struct queue *queue, const struct status *st)
{
    struct item *item = list_pop(&queue->enqueues);
    struct enqueue *e = (struct enqueue *)item;
    if (st->code == STATUS_OK && e->n_new > 0)
        queue_wake_in(queue, 0); // also where notifications do not come
    if (st->code == STATUS_OK && e->changed.len > 0)
        queue_tell(queue, LOG_LEVEL_WARN,
                   "queued before with other parameters, and not again: %s; an id is run once, so "
                   "give what was changed another id",
                   buf_text(&e->changed));
    if (st->code == STATUS_OK)
        queue_tell_queued(queue, e->source, &e->queued);
    if (e->fn != NULL && !item->forgotten && !queue_stopping(queue))
        e->fn(item->owner, st, e->n_new);
    free_enqueue(item);
}

static void enqueued(struct queue *queue)
{
    struct status st;
    status_clear(&st);
    finish(queue, &st);
}

static void enqueue_aborted(struct queue *queue)
{
    (void)queue; // it is still the first
}

static bool enqueue_refused(struct queue *queue, const struct pg_error *error)
{
    struct status st;
    if (strcmp(error->sqlstate, "22023") == 0)
        status_set(&st, STATUS_INVALID,
                   "PostgreSQL does not know a time_zone of these jobs (SELECT name FROM "
                   "pg_timezone_names lists what it knows)");
    else
        status_set(&st, STATUS_INVALID, "PostgreSQL refuses the jobs: %s%s%s (%s)", error->message,
                   error->detail[0] != '\0' ? ": " : "", error->detail, error->sqlstate);
    ((struct enqueue *)queue->enqueues.first)->n_new = 0;
    finish(queue, &st);
    return true;
}

const struct part part_enqueue = {.name = "an enqueue",
                                  .wanted = enqueue_wanted,
                                  .send = send_enqueue,
                                  .result = read_enqueue,
                                  .committed = enqueued,
                                  .aborted = enqueue_aborted,
                                  .refused = enqueue_refused};

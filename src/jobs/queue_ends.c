// SPDX-License-Identifier: Apache-2.0
// Ends without a worker: of jobs that were cancelled before they began, or given up in the
// database. One of the workers tells of each.
#include "jobs/queue_priv.h"

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "pg/array.h"

#include <stdlib.h>

#define ENDS_US (2 * US_PER_S)

struct end {
    struct item item;
    char *job_id, *notification;
    bool sent;    // once at least
    bool applied; // as the group in flight says; or before, when its answer was lost
    queue_fn fn;
};

// Whose action nobody knows is told without its notification, after a minute for one who does.
// Parameters are read where the notification needs them.
static const char untold_sql[] =
    "SELECT " JOB_COLUMNS("CASE WHEN action = ANY ($2::text[]) THEN params::text ELSE '{}' "
                          "END") ", error::text FROM cxsink.jobs WHERE untold AND (action = "
                                 "ANY ($1::text[])"
                                 " OR finished_at < now() - interval '1 minute') ORDER BY "
                                 "finished_at LIMIT $3::bigint";

static const char told_sql[] =
    "WITH u AS (UPDATE cxsink.jobs j SET untold = false FROM"
    " unnest($1::text[], $2::text[]) AS s(id, notification) WHERE j.id = s.id AND j.untold"
    " RETURNING j.id, j.action, s.notification),"
    " o AS (INSERT INTO cxsink.job_notifications (job_id, action, body)"
    " SELECT id, action, notification::json FROM u WHERE notification IS NOT NULL)"
    " SELECT id FROM u";

// --- looking for them ----------------------------------------------------------------------------

void ends_soon(struct queue *queue)
{
    clockwork_start(&queue->ends.clock, loop_now(queue->settings.loop), ENDS_US);
    queue_pump_soon(queue);
}

static bool untold_wanted(struct queue *queue)
{
    return queue->settings.callbacks.ended != NULL && queue->settings.worker &&
           queue->stop.fn == NULL && queue->ends.waiting.count == 0 &&
           clockwork_due(queue, &queue->ends.clock);
}

static void put_actions(struct queue *queue, bool publishing_only)
{
    const struct config_jobs *jobs = &queue->settings.config->jobs;
    size_t n = 0;
    for (size_t i = 0; i < jobs->n_actions; i++)
        n += !publishing_only || jobs->actions[i].kind == ACTION_PUBLISH;
    struct buf *names = params_array(&queue->params, PG_TEXT, n);
    for (size_t i = 0; i < jobs->n_actions; i++) {
        if (!publishing_only || jobs->actions[i].kind == ACTION_PUBLISH)
            params_put_text(names, jobs->actions[i].name);
    }
}

static void send_untold(struct queue *queue)
{
    clockwork_wind(queue, &queue->ends.clock);
    params_clear(&queue->params);
    put_actions(queue, false);
    put_actions(queue, true);
    params_int(&queue->params, ENDS_MAX);
    queue_send(queue, &part_untold, untold_sql, &queue->params);
}

static void read_untold(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        queue->ends.jobs[row] = queue_read_job(result, row);
        queue->ends.errors[row] = queue_read_text(result, row, JOB_COLUMNS_COUNT);
        queue->ends.n_jobs++;
    }
}

static void drop_untold(struct queue *queue)
{
    for (size_t i = 0; i < queue->ends.n_jobs; i++) {
        job_free(&queue->ends.jobs[i]);
        free(queue->ends.errors[i]);
    }
    queue->ends.n_jobs = 0;
}

static void untold_read(struct queue *queue)
{
    if (queue->ends.n_jobs == ENDS_MAX)
        ends_soon(queue);
    for (size_t i = 0; i < queue->ends.n_jobs && !queue_stopping(queue); i++) {
        struct job *job = queue->ends.jobs[i];
        queue->ends.jobs[i] = NULL;
        queue->settings.callbacks.ended(queue->settings.owner, job, queue->ends.errors[i]);
    }
    drop_untold(queue);
}

const struct part part_untold = {.name = "looking for ends that are not told",
                                 .periodic = true,
                                 .wanted = untold_wanted,
                                 .send = send_untold,
                                 .result = read_untold,
                                 .committed = untold_read,
                                 .aborted = drop_untold};

// --- telling -------------------------------------------------------------------------------------

void queue_end_told(struct queue *queue, const char *job_id, const char *notification, queue_fn fn,
                    void *owner)
{
    struct end *end = mem_zalloc(sizeof(*end));
    end->item.owner = owner;
    end->job_id = mem_strdup(job_id);
    end->notification = notification != NULL ? mem_strdup(notification) : NULL;
    end->fn = fn;
    list_push(&queue->ends.waiting, &end->item);
    queue_pump_soon(queue);
}

static void free_end(struct item *item)
{
    struct end *end = (struct end *)item;
    free(end->job_id);
    free(end->notification);
    free(end);
}

static bool told_wanted(struct queue *queue)
{
    return queue->ends.waiting.count > 0;
}

static void send_told(struct queue *queue)
{
    struct list *list = &queue->ends.flight;
    struct params *p = &queue->params;
    list_return(list, &queue->ends.waiting);
    params_clear(p);
    struct buf *ids = params_array(p, PG_TEXT, list->count);
    struct buf *notifications = params_array(p, PG_TEXT, list->count);
    for (struct item *item = list->first; item != NULL; item = item->next) {
        struct end *end = (struct end *)item;
        end->applied = end->sent;
        end->sent = true;
        params_put_text(ids, end->job_id);
        params_put_text(notifications, end->notification);
    }
    queue_send(queue, &part_told, told_sql, p);
}

static void read_told(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        const char *id = pg_result_text(result, row, 0);
        for (struct item *item = queue->ends.flight.first; item != NULL; item = item->next)
            ((struct end *)item)->applied |= strcmp(((struct end *)item)->job_id, id) == 0;
    }
}

static void told(struct queue *queue)
{
    struct item *item;
    list_return(&queue->ends.done, &queue->ends.flight);
    while ((item = list_pop(&queue->ends.done)) != NULL) {
        struct end *end = (struct end *)item;
        if (!item->forgotten && !queue_stopping(queue))
            end->fn(item->owner, end->applied ? STATUS_OK : STATUS_BUSY);
        free_end(item);
    }
}

static void told_aborted(struct queue *queue)
{
    list_return(&queue->ends.waiting, &queue->ends.flight);
}

const struct part part_told = {.name = "the end of a job",
                               .wanted = told_wanted,
                               .send = send_told,
                               .result = read_told,
                               .committed = told,
                               .aborted = told_aborted};

void ends_free(struct queue *queue)
{
    drop_untold(queue);
    list_free(&queue->ends.waiting, free_end);
    list_free(&queue->ends.flight, free_end);
    list_free(&queue->ends.done, free_end);
}

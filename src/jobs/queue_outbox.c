// SPDX-License-Identifier: Apache-2.0
// The outbox: notifications that finished jobs left behind. One is leased by putting its next time
// off, so that of a worker that dies with it comes again.
#include "jobs/queue_priv.h"

#include "core/mem.h"
#include "pg/array.h"

#include <stdlib.h>

#define OUTBOX_LEASE_US (60 * US_PER_S)

struct request {
    struct item item;
    unsigned max;
    queue_outbox_fn fn;
};

struct outcome {
    struct item item;
    int64_t id;
    int64_t delay_us;
    char *error;
};

static const char outbox_sql[] =
    "WITH p AS (SELECT id FROM cxsink.job_notifications WHERE finished_at IS NULL"
    " AND run_at <= now() ORDER BY run_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED)"
    " UPDATE cxsink.job_notifications n SET attempt = n.attempt + 1,"
    " run_at = now() + $2::bigint * interval '1 microsecond' FROM p WHERE n.id = p.id"
    " RETURNING n.id, n.job_id, n.action, n.body, n.attempt";

static const char outcome_sql[] =
    "UPDATE cxsink.job_notifications n SET error = s.error,"
    " finished_at = CASE WHEN s.delay IS NULL THEN now() END,"
    " run_at = CASE WHEN s.delay IS NULL THEN n.run_at"
    " ELSE now() + s.delay * interval '1 microsecond' END"
    " FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS s(id, delay, error)"
    " WHERE n.id = s.id AND n.finished_at IS NULL";

// --- what became of them -------------------------------------------------------------------------

void queue_outbox_done(struct queue *queue, int64_t id, int64_t delay_us, const char *error)
{
    struct outcome *outcome = mem_zalloc(sizeof(*outcome));
    outcome->id = id;
    outcome->delay_us = delay_us;
    outcome->error = error != NULL ? mem_strdup(error) : NULL;
    list_push(&queue->outbox.waiting, &outcome->item);
    queue_pump_soon(queue);
}

static void free_outcome(struct item *item)
{
    free(((struct outcome *)item)->error);
    free(item);
}

static bool outcomes_wanted(struct queue *queue)
{
    return queue->outbox.waiting.count > 0;
}

static void send_outcomes(struct queue *queue)
{
    struct list *list = &queue->outbox.flight;
    struct params *p = &queue->params;
    list_return(list, &queue->outbox.waiting);
    params_clear(p);
    struct buf *ids = params_array(p, PG_INT8, list->count);
    struct buf *delays = params_array(p, PG_INT8, list->count);
    struct buf *errors = params_array(p, PG_TEXT, list->count);
    for (struct item *item = list->first; item != NULL; item = item->next) {
        const struct outcome *outcome = (const struct outcome *)item;
        array_put_int8(ids, outcome->id);
        if (outcome->delay_us < 0)
            array_put_null(delays);
        else
            array_put_int8(delays, outcome->delay_us);
        params_put_text(errors, outcome->error);
    }
    queue_send(queue, &part_notified, outcome_sql, p);
}

static void outcomes_stored(struct queue *queue)
{
    list_free(&queue->outbox.flight, free_outcome);
}

static void outcomes_aborted(struct queue *queue)
{
    list_return(&queue->outbox.waiting, &queue->outbox.flight);
}

const struct part part_notified = {.name = "the end of a notification",
                                   .wanted = outcomes_wanted,
                                   .send = send_outcomes,
                                   .committed = outcomes_stored,
                                   .aborted = outcomes_aborted};

// --- what is due ---------------------------------------------------------------------------------

static void free_item(struct item *item)
{
    free(item);
}

void queue_outbox(struct queue *queue, unsigned max, queue_outbox_fn fn, void *owner)
{
    list_free(&queue->outbox.asked, free_item);
    struct request *request = mem_zalloc(sizeof(*request));
    *request = (struct request){.item = {.owner = owner}, .max = max, .fn = fn};
    list_push(&queue->outbox.asked, &request->item);
    queue_pump_soon(queue);
}

static void drop_items(struct queue *queue)
{
    for (size_t i = 0; i < queue->outbox.n_items; i++) {
        free(queue->outbox.items[i].job_id);
        free(queue->outbox.items[i].action);
        free(queue->outbox.items[i].body);
    }
    free(queue->outbox.items);
    queue->outbox.items = NULL;
    queue->outbox.n_items = 0;
}

static bool outbox_wanted(struct queue *queue)
{
    return queue->outbox.asked.count > 0 && queue->stop.fn == NULL;
}

static void send_outbox(struct queue *queue)
{
    const struct request *request = (const struct request *)queue->outbox.asked.first;
    params_clear(&queue->params);
    params_int(&queue->params, request->max);
    params_int(&queue->params, OUTBOX_LEASE_US);
    queue_send(queue, &part_outbox, outbox_sql, &queue->params);
}

static void read_outbox(struct queue *queue, const struct pg_result *result)
{
    size_t n = (size_t)pg_result_rows(result);
    queue->outbox.items = mem_zalloc((n + 1) * sizeof(*queue->outbox.items));
    queue->outbox.n_items = n;
    for (int row = 0; row < (int)n; row++) {
        queue->outbox.items[row] = (struct queue_notification){
            .id = strtoll(pg_result_text(result, row, 0), NULL, 10),
            .job_id = mem_strdup(pg_result_text(result, row, 1)),
            .action = mem_strdup(pg_result_text(result, row, 2)),
            .body = mem_strdup(pg_result_text(result, row, 3)),
            .attempt = (unsigned)strtoul(pg_result_text(result, row, 4), NULL, 10),
        };
    }
}

// Whoever asked while the group was under way gets these.
static void outbox_leased(struct queue *queue)
{
    struct item *item = list_pop(&queue->outbox.asked);
    const struct request *request = (const struct request *)item;
    if (!item->forgotten && !queue_stopping(queue))
        request->fn(item->owner, queue->outbox.items, queue->outbox.n_items);
    free(item);
    drop_items(queue);
}

const struct part part_outbox = {.name = "asking for notifications",
                                 .wanted = outbox_wanted,
                                 .send = send_outbox,
                                 .result = read_outbox,
                                 .committed = outbox_leased,
                                 .aborted = drop_items};

void outbox_free(struct queue *queue)
{
    list_free(&queue->outbox.asked, free_item);
    list_free(&queue->outbox.waiting, free_outcome);
    list_free(&queue->outbox.flight, free_outcome);
    drop_items(queue);
}

// SPDX-License-Identifier: Apache-2.0
// What is too large to come with a lease: the parameters by themselves, then their data slice by
// slice, one round trip each. What waits takes turns.
#include "jobs/queue_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

// Of one round trip, bytes: a turn of the loop copies it twice and looks at it once.
#define SLICE ((size_t)512 << 10)

struct load {
    struct item item;
    struct job *job; // of the owner; not touched once it is forgotten
    bool lost;       // as the last answer said
    queue_fn fn;
};

// Of data that is no base64, a character that is not ASCII becomes a backslash and more: what
// stands before it keeps its place, and it is as wrong.
static const char load_sql[] =
    "SELECT CASE WHEN $4::bigint = 0 THEN params::text"
    " ELSE encode(substring(data FROM $5::int FOR $4::int), 'escape') END"
    " FROM cxsink.jobs WHERE id = $1::text AND leased_by = $2::uuid AND lease = $3::int";

void queue_load(struct queue *queue, struct job *job, queue_fn fn, void *owner)
{
    struct load *load = mem_zalloc(sizeof(*load));
    load->item.owner = owner;
    load->job = job;
    load->fn = fn;
    list_push(&queue->loads.waiting, &load->item);
    queue_pump_soon(queue);
}

static void free_load(struct item *item)
{
    free(item);
}

void loads_free(struct queue *queue)
{
    list_free(&queue->loads.waiting, free_load);
    list_free(&queue->loads.flight, free_load);
}

static void drop_forgotten(struct list *list)
{
    struct list kept = {0};
    struct item *item;
    while ((item = list_pop(list)) != NULL) {
        if (item->forgotten)
            free_load(item);
        else
            list_push(&kept, item);
    }
    *list = kept;
}

static bool load_wanted(struct queue *queue)
{
    drop_forgotten(&queue->loads.waiting);
    return queue->loads.waiting.count > 0 && queue->stop.fn == NULL;
}

static size_t next_slice(const struct job *job)
{
    size_t left = job->data.length - job->data.have;
    return job->params == NULL ? 0 : left < SLICE ? left : SLICE;
}

static void send_load(struct queue *queue)
{
    struct params *p = &queue->params;
    struct item *item = list_pop(&queue->loads.waiting);
    const struct job *job = ((struct load *)item)->job;
    list_push(&queue->loads.flight, item);
    params_clear(p);
    params_text(p, job->id);
    params_text(p, queue->worker);
    params_int(p, job->lease);
    params_int(p, (int64_t)next_slice(job));
    params_int(p, (int64_t)job->data.have + 1);
    queue_send(queue, &part_load, load_sql, p);
}

static void take_slice(struct job_data *data, const char *slice, size_t length)
{
    if (length == 0)
        return;
    if (data->text == NULL)
        data->text = mem_alloc(data->length + 1);
    memcpy(data->text + data->have, slice, length);
    base64_text_add(&data->scan, slice, length);
    data->have += length;
}

// What a lease has is not changed: it may be taken before the group is committed.
static void read_load(struct queue *queue, const struct pg_result *result)
{
    struct load *load = (struct load *)queue->loads.flight.first;
    if (load->item.forgotten)
        return;
    struct job *job = load->job;
    size_t slice = next_slice(job);
    load->lost = pg_result_rows(result) == 0 || pg_result_is_null(result, 0, 0) ||
                 (size_t)pg_result_length(result, 0, 0) < slice;
    if (load->lost)
        return;
    const char *text = pg_result_text(result, 0, 0);
    if (job->params == NULL) {
        job->params_length = (size_t)pg_result_length(result, 0, 0);
        job->params = mem_strndup(text, job->params_length);
    } else {
        take_slice(&job->data, text, slice);
    }
}

static void loaded(struct queue *queue)
{
    struct item *item = list_pop(&queue->loads.flight);
    struct load *load = (struct load *)item;
    if (!item->forgotten && !load->lost && job_is_partial(load->job)) {
        list_push(&queue->loads.waiting, item);
        return;
    }
    if (!item->forgotten && !queue_stopping(queue))
        load->fn(item->owner, load->lost ? STATUS_BUSY : STATUS_OK);
    free_load(item);
}

// What came stays; of a job that is whole nothing but its lease is asked for then.
static void load_aborted(struct queue *queue)
{
    list_return(&queue->loads.waiting, &queue->loads.flight);
}

const struct part part_load = {.name = "reading a job's parameters",
                               .wanted = load_wanted,
                               .send = send_load,
                               .result = read_load,
                               .committed = loaded,
                               .aborted = load_aborted};

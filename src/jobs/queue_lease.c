// SPDX-License-Identifier: Apache-2.0
// The leases that this worker holds: heartbeats, and giving them back.
#include "jobs/queue_priv.h"

#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "pg/array.h"

#include <stdlib.h>
#include <string.h>

static const char beat_sql[] =
    "UPDATE cxsink.jobs SET leased_until = now() + $2::bigint * interval '1 microsecond'"
    " WHERE leased_by = $1::uuid AND id = ANY ($3::text[])"
    " RETURNING id, lease, cancel_requested";

static const char give_back_sql[] =
    "UPDATE cxsink.jobs SET leased_by = NULL, leased_until = NULL, run_at = least(run_at, now()),"
    " state = CASE state WHEN 'running' THEN 'queued' ELSE state END WHERE leased_by = $1::uuid";

// --- the list ------------------------------------------------------------------------------------

static struct lease *find(const struct queue *queue, const char *id, unsigned number)
{
    uint64_t hash = hash_bytes(id, strlen(id), 0);
    for (size_t i = 0; i < queue->leases.count; i++) {
        struct lease *lease = &queue->leases.items[i];
        if (lease->hash == hash && lease->number == number && strcmp(lease->id, id) == 0)
            return lease;
    }
    return NULL;
}

void leases_add(struct queue *queue, const struct job *job)
{
    if (queue->leases.count == queue->leases.cap) {
        queue->leases.cap = queue->leases.cap == 0 ? 16 : queue->leases.cap * 2;
        queue->leases.items =
            mem_realloc_array(queue->leases.items, queue->leases.cap, sizeof(*queue->leases.items));
    }
    if (queue->leases.count == 0)
        clockwork_wind(queue, &queue->leases.beat); // it has its whole time
    queue->leases.items[queue->leases.count++] = (struct lease){
        .id = mem_strdup(job->id),
        .number = job->lease,
        .hash = hash_bytes(job->id, strlen(job->id), 0),
        .cancel_told = job->cancel_requested,
    };
}

bool leases_has(const struct queue *queue, const char *id, unsigned number)
{
    return find(queue, id, number) != NULL;
}

// The caller has its id.
static void take_out(struct queue *queue, struct lease *lease)
{
    *lease = queue->leases.items[--queue->leases.count];
}

bool leases_remove(struct queue *queue, const char *id, unsigned number)
{
    struct lease *lease = find(queue, id, number);
    if (lease == NULL)
        return false;
    free(lease->id);
    take_out(queue, lease);
    return true;
}

void leases_free(struct queue *queue)
{
    for (size_t i = 0; i < queue->leases.count; i++)
        free(queue->leases.items[i].id);
    free(queue->leases.items);
}

void leases_put_ids(const struct queue *queue, struct params *p)
{
    struct buf *ids = params_array(p, PG_TEXT, queue->leases.count);
    for (size_t i = 0; i < queue->leases.count; i++)
        params_put_text(ids, queue->leases.items[i].id);
}

// --- beats ---------------------------------------------------------------------------------------

void leases_beat_soon(struct queue *queue)
{
    clockwork_start(&queue->leases.beat, loop_now(queue->settings.loop), JOB_HEARTBEAT_US);
    queue_pump_soon(queue);
}

static bool beat_wanted(struct queue *queue)
{
    return queue->leases.count > 0 && clockwork_due(queue, &queue->leases.beat);
}

static void send_beat(struct queue *queue)
{
    struct params *p = &queue->params;
    for (size_t i = 0; i < queue->leases.count; i++)
        queue->leases.items[i].seen = false;
    params_clear(p);
    params_text(p, queue->worker);
    params_int(p, JOB_LEASE_US);
    leases_put_ids(queue, p);
    queue_send(queue, &part_beat, beat_sql, p);
}

static void read_beat(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        unsigned number = (unsigned)strtoul(pg_result_text(result, row, 1), NULL, 10);
        struct lease *lease = find(queue, pg_result_text(result, row, 0), number);
        if (lease == NULL)
            continue;
        lease->seen = true;
        lease->cancel_asked = pg_result_text(result, row, 2)[0] == 't';
    }
}

static void tell_lost(struct queue *queue, const char *id, bool cancel)
{
    if (!queue_stopping(queue))
        queue->settings.callbacks.lost(queue->settings.owner, id, cancel);
}

static void beaten(struct queue *queue)
{
    clockwork_wind(queue, &queue->leases.beat);
    for (size_t i = queue->leases.count; i-- > 0;) {
        struct lease *lease = &queue->leases.items[i];
        if (!lease->seen) {
            char *id = lease->id;
            take_out(queue, lease);
            tell_lost(queue, id, false);
            free(id);
        } else if (lease->cancel_asked && !lease->cancel_told) {
            lease->cancel_told = true;
            tell_lost(queue, lease->id, true);
        }
    }
}

static void nothing(struct queue *queue)
{
    (void)queue;
}

const struct part part_beat = {.name = "the heartbeat",
                               .wanted = beat_wanted,
                               .send = send_beat,
                               .result = read_beat,
                               .committed = beaten,
                               .aborted = nothing};

// --- the end -------------------------------------------------------------------------------------

static bool give_back_wanted(struct queue *queue)
{
    return queue->stop.fn != NULL && queue->saves.waiting.count == 0 && queue->enqueues.count == 0;
}

static void send_give_back(struct queue *queue)
{
    params_clear(&queue->params);
    params_text(&queue->params, queue->worker);
    if (queue->settings.worker)
        queue_send(queue, &part_give_back, give_back_sql, &queue->params);
    else
        queue_send(queue, &part_give_back, "SELECT 1", NULL);
}

const struct part part_give_back = {.name = "giving leases back",
                                    .wanted = give_back_wanted,
                                    .send = send_give_back,
                                    .committed = queue_stopped,
                                    .aborted = nothing};

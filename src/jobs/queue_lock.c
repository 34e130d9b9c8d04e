// SPDX-License-Identifier: Apache-2.0
// Locks: rows of cxsink.job_locks, which belong to jobs until these are finished.
#include "jobs/queue_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

struct lock {
    struct item item;
    char *job_id, *key;
    char *holder; // as the group in flight says; NULL: the job is not this worker's
    queue_lock_fn fn;
};

// The row that is there stays, unless its job was ended by hand.
static const char lock_sql[] =
    "INSERT INTO cxsink.job_locks AS l (key, job_id) SELECT $2::text, j.id FROM cxsink.jobs j"
    " WHERE j.id = $3::text AND j.leased_by = $1::uuid ON CONFLICT (key) DO UPDATE SET job_id ="
    " CASE WHEN EXISTS (SELECT FROM cxsink.jobs h WHERE h.id = l.job_id"
    " AND h.finished_at IS NULL) THEN l.job_id ELSE excluded.job_id END RETURNING job_id";

void queue_lock(struct queue *queue, const char *job_id, const char *key, queue_lock_fn fn,
                void *owner)
{
    struct lock *lock = mem_zalloc(sizeof(*lock));
    lock->item.owner = owner;
    lock->job_id = mem_strdup(job_id);
    lock->key = mem_strdup(key);
    lock->fn = fn;
    list_push(&queue->locks.waiting, &lock->item);
    queue_pump_soon(queue);
}

static void free_lock(struct item *item)
{
    struct lock *lock = (struct lock *)item;
    free(lock->job_id);
    free(lock->key);
    free(lock->holder);
    free(lock);
}

void locks_free(struct queue *queue)
{
    list_free(&queue->locks.waiting, free_lock);
    list_free(&queue->locks.flight, free_lock);
    list_free(&queue->locks.done, free_lock);
}

static bool lock_wanted(struct queue *queue)
{
    return queue->locks.waiting.count > 0 && queue->stop.fn == NULL;
}

static void send_locks(struct queue *queue)
{
    struct params *p = &queue->params;
    list_return(&queue->locks.flight, &queue->locks.waiting);
    queue->locks.answered = NULL;
    for (struct item *item = queue->locks.flight.first; item != NULL; item = item->next) {
        const struct lock *lock = (const struct lock *)item;
        params_clear(p);
        params_text(p, queue->worker);
        params_text(p, lock->key);
        params_text(p, lock->job_id);
        queue_send(queue, &part_lock, lock_sql, p);
    }
}

static void read_lock(struct queue *queue, const struct pg_result *result)
{
    struct item *item = queue->locks.answered;
    item = item == NULL ? queue->locks.flight.first : item->next;
    queue->locks.answered = item;
    struct lock *lock = (struct lock *)item;
    free(lock->holder);
    lock->holder = NULL;
    if (pg_result_rows(result) > 0)
        lock->holder = mem_strdup(pg_result_text(result, 0, 0));
}

static void locked(struct queue *queue)
{
    struct item *item;
    list_return(&queue->locks.done, &queue->locks.flight);
    while ((item = list_pop(&queue->locks.done)) != NULL) {
        struct lock *lock = (struct lock *)item;
        bool own = lock->holder != NULL && strcmp(lock->holder, lock->job_id) == 0;
        if (!item->forgotten && !queue_stopping(queue))
            lock->fn(item->owner, own ? STATUS_OK : STATUS_BUSY, lock->holder);
        free_lock(item);
    }
}

static void locks_aborted(struct queue *queue)
{
    list_return(&queue->locks.waiting, &queue->locks.flight);
}

const struct part part_lock = {.name = "a lock",
                               .wanted = lock_wanted,
                               .send = send_locks,
                               .result = read_lock,
                               .committed = locked,
                               .aborted = locks_aborted};

// SPDX-License-Identifier: Apache-2.0
// Saves: all that wait go out in one statement, each fenced by its lease. A save has a number of
// its own, so that one whose outcome nobody knows can be repeated.
#include "jobs/queue_priv.h"

#include "core/hash.h"
#include "core/mem.h"
#include "pg/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Saves in a statement.
#define SAVES_MAX 1000

struct save {
    struct item item;
    uint64_t hash; // of the id
    char *id, *step, *remote_id, *progress, *attempts, *result, *error, *notification;
    unsigned lease, attempt, failures;
    enum job_state state;
    int64_t token;
    int64_t release_us; // < 0: the lease is kept
    bool sent;          // once at least
    bool bare;          // the server refused it with its texts
    bool applied;       // as the group in flight says
    queue_fn fn;
};

// `repeated`: some of it may be stored already. Of what is stored the second part tells, since it
// sees the table as it was before.
static const char save_sql[] =
    "WITH s AS MATERIALIZED (SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[],"
    " $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],"
    " $12::text[], $13::text[], $14::text[], $15::bigint[]) WITH ORDINALITY"
    " AS s(id, lease, token, state, step, attempt, failures, remote_id, progress, attempts,"
    " result, error, notification, release, n)),"
    " u AS (UPDATE cxsink.jobs j SET state = s.state, step = s.step, attempt = s.attempt,"
    " failures = s.failures, remote_id = s.remote_id, progress = s.progress::jsonb,"
    " attempts = CASE WHEN s.attempts IS NULL THEN j.attempts ELSE"
    " jsonb_path_query_array(j.attempts || s.attempts::jsonb, '$[last - 49 to last]') END,"
    " result = coalesce(s.result::jsonb, j.result),"
    " error = CASE s.state WHEN 'succeeded' THEN s.error::jsonb"
    " ELSE coalesce(s.error::jsonb, j.error) END,"
    " last_save = s.token,"
    " leased_by = CASE WHEN s.release IS NULL THEN j.leased_by END,"
    " leased_until = CASE WHEN s.release IS NULL THEN j.leased_until END,"
    " run_at = CASE WHEN s.release IS NULL THEN j.run_at"
    " ELSE now() + s.release * interval '1 microsecond' END,"
    " finished_at = CASE WHEN s.state IN ('succeeded', 'failed', 'cancelled') THEN now() END"
    " FROM s WHERE j.id = s.id AND j.leased_by IS NOT DISTINCT FROM $1::uuid AND j.lease = s.lease"
    " AND j.last_save IS DISTINCT FROM s.token"
    " RETURNING s.n, j.id, j.action, j.finished_at, s.notification),"
    " o AS (INSERT INTO cxsink.job_notifications (job_id, action, body)"
    " SELECT id, action, notification::json FROM u WHERE notification IS NOT NULL),"
    " k AS (DELETE FROM cxsink.job_locks k USING u WHERE k.job_id = u.id"
    " AND u.finished_at IS NOT NULL)"
    " SELECT n FROM u UNION ALL SELECT s.n FROM s JOIN cxsink.jobs j ON j.id = s.id"
    " AND j.last_save = s.token WHERE $16::boolean";

// --- what is to be stored ------------------------------------------------------------------------

// PostgreSQL holds no U+0000: it becomes U+FFFD. Owned.
static char *copy_json(const char *text)
{
    if (text == NULL)
        return NULL;
    char *copy = mem_strdup(text);
    for (char *p = strchr(copy, '\\'); p != NULL; p = strchr(p + 2, '\\')) {
        if (strncmp(p, "\\u0000", 6) == 0)
            memcpy(p, "\\ufffd", 6);
    }
    return copy;
}

static char *copy_text(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

// "2026-01-02T03:04:05.678Z" and the rest as an array of objects; NULL: none. Owned.
static char *print_attempts(const struct queue_save *from)
{
    struct buf out = {0};
    char at[32];
    for (size_t i = 0; i < from->n_attempts; i++) {
        const struct queue_attempt *a = &from->attempts[i];
        wall_format(a->at_us, at, sizeof(at));
        buf_printf(&out, "%s{\"at\":\"%s\",\"step\":", i == 0 ? "[" : ",", at);
        buf_json_string(&out, a->step, strlen(a->step));
        if (a->status != 0)
            buf_printf(&out, ",\"status\":%d", a->status);
        if (a->error != NULL) {
            buf_append_text(&out, ",\"error\":");
            buf_json_string(&out, a->error, strlen(a->error));
        }
        buf_printf(&out, ",\"sent\":%s", a->sent ? "true" : "false");
        buf_printf(&out, ",\"latency_ms\":%.3f}", (double)a->latency_us / (double)US_PER_MS);
    }
    if (out.len == 0)
        return NULL;
    buf_append_text(&out, "]");
    char *text = copy_json(buf_text(&out));
    buf_deinit(&out);
    return text;
}

static void set_state(struct save *save, const struct queue_save *from)
{
    bool final = job_state_is_final(from->job->state);
    bool release = final || from->lease == QUEUE_RELEASE;
    save->state = from->job->state;
    save->release_us = release ? from->delay_us : -1;
    if (final || from->delay_us < 0)
        save->release_us = release ? 0 : -1;
    if (release && save->state == JOB_RUNNING) // nobody has it
        save->state = JOB_QUEUED;
}

void queue_save(struct queue *queue, const struct queue_save *from, queue_fn fn, void *owner)
{
    const struct job *job = from->job;
    struct save *save = mem_zalloc(sizeof(*save));
    save->item.owner = owner;
    save->fn = fn;
    save->hash = hash_bytes(job->id, strlen(job->id), 0);
    save->id = mem_strdup(job->id);
    save->step = mem_strdup(job->step);
    save->lease = job->lease;
    save->attempt = job->attempt - (from->refund && job->attempt > 0);
    save->failures = job->failures;
    save->remote_id = copy_text(job->remote_id);
    save->progress = copy_json(job->progress);
    save->attempts = print_attempts(from);
    save->result = copy_json(from->result);
    save->error = copy_json(from->error);
    save->notification = copy_json(from->notification);
    save->token = queue->saves.token++;
    set_state(save, from);
    list_push(&queue->saves.waiting, &save->item);
    queue_pump_soon(queue);
}

static void free_save(struct item *item)
{
    struct save *save = (struct save *)item;
    free(save->id);
    free(save->step);
    free(save->remote_id);
    free(save->progress);
    free(save->attempts);
    free(save->result);
    free(save->error);
    free(save->notification);
    free(save);
}

void saves_free(struct queue *queue)
{
    list_free(&queue->saves.waiting, free_save);
    list_free(&queue->saves.flight, free_save);
    list_free(&queue->saves.done, free_save);
}

// --- sending -------------------------------------------------------------------------------------

static bool save_wanted(struct queue *queue)
{
    return queue->saves.waiting.count > 0;
}

static bool holds(const struct list *list, const struct save *save)
{
    for (struct item *item = list->first; item != NULL; item = item->next) {
        const struct save *other = (const struct save *)item;
        if (other->hash == save->hash && strcmp(other->id, save->id) == 0)
            return true;
    }
    return false;
}

// A statement has a job once: its later saves wait, in their order.
static void take_waiting(struct queue *queue)
{
    size_t max = queue->saves.singly ? 1 : SAVES_MAX;
    struct list later = {0};
    struct item *item;
    while (queue->saves.flight.count < max && (item = list_pop(&queue->saves.waiting)) != NULL) {
        struct save *save = (struct save *)item;
        bool again = holds(&queue->saves.flight, save) || holds(&later, save);
        list_push(again ? &later : &queue->saves.flight, item);
    }
    list_return(&queue->saves.waiting, &later);
}

enum {
    TEXT_ID,
    TEXT_STATE,
    TEXT_STEP,
    TEXT_REMOTE_ID,
    TEXT_PROGRESS,
    TEXT_ATTEMPTS,
    TEXT_RESULT,
    TEXT_ERROR,
    TEXT_NOTIFICATION
};

static const char refused_text[] =
    "{\"message\":\"PostgreSQL cannot hold what was to be stored here\"}";

static const char *replaced(const struct save *save, const char *text)
{
    return save->bare && text != NULL ? refused_text : text;
}

static const char *text_of(const struct save *save, int which)
{
    switch (which) {
    case TEXT_ID:
        return save->id;
    case TEXT_STATE:
        return job_state_name(save->state);
    case TEXT_STEP:
        return save->step;
    case TEXT_REMOTE_ID:
        return save->remote_id;
    case TEXT_PROGRESS:
        return save->progress; // the kind could not go on without
    case TEXT_ATTEMPTS:
        return save->bare ? NULL : save->attempts;
    case TEXT_RESULT:
        return replaced(save, save->result);
    case TEXT_ERROR:
        return replaced(save, save->error);
    default:
        return replaced(save, save->notification);
    }
}

static void put_texts(struct queue *queue, int which)
{
    const struct list *list = &queue->saves.flight;
    struct buf *array = params_array(&queue->params, PG_TEXT, list->count);
    for (struct item *item = list->first; item != NULL; item = item->next)
        params_put_text(array, text_of((struct save *)item, which));
}

enum { NUMBER_LEASE, NUMBER_TOKEN, NUMBER_ATTEMPT, NUMBER_FAILURES, NUMBER_RELEASE };

static int64_t number_of(const struct save *save, int which)
{
    switch (which) {
    case NUMBER_LEASE:
        return save->lease;
    case NUMBER_TOKEN:
        return save->token;
    case NUMBER_ATTEMPT:
        return save->attempt;
    case NUMBER_FAILURES:
        return save->failures;
    default:
        return save->release_us;
    }
}

// Negative ones are NULL.
static void put_numbers(struct queue *queue, int which)
{
    const struct list *list = &queue->saves.flight;
    struct buf *array = params_array(&queue->params, PG_INT8, list->count);
    for (struct item *item = list->first; item != NULL; item = item->next) {
        int64_t number = number_of((struct save *)item, which);
        if (number < 0)
            array_put_null(array);
        else
            array_put_int8(array, number);
    }
}

// True when some of it may be stored already.
static bool mark_sent(const struct list *list)
{
    bool repeated = false;
    for (struct item *item = list->first; item != NULL; item = item->next) {
        struct save *save = (struct save *)item;
        repeated |= save->sent;
        save->sent = true;
        save->applied = false;
    }
    return repeated;
}

static void send_saves(struct queue *queue)
{
    struct params *p = &queue->params;
    take_waiting(queue);
    bool repeated = mark_sent(&queue->saves.flight);
    params_clear(p);
    params_text(p, queue->worker);
    put_texts(queue, TEXT_ID);
    put_numbers(queue, NUMBER_LEASE);
    put_numbers(queue, NUMBER_TOKEN);
    put_texts(queue, TEXT_STATE);
    put_texts(queue, TEXT_STEP);
    put_numbers(queue, NUMBER_ATTEMPT);
    put_numbers(queue, NUMBER_FAILURES);
    for (int which = TEXT_REMOTE_ID; which <= TEXT_NOTIFICATION; which++)
        put_texts(queue, which);
    put_numbers(queue, NUMBER_RELEASE);
    params_text(p, repeated ? "t" : "f");
    queue_send(queue, &part_save, save_sql, p);
}

// --- answers -------------------------------------------------------------------------------------

static struct save *nth(const struct list *list, long n)
{
    struct item *item = list->first;
    while (n-- > 1 && item != NULL)
        item = item->next;
    return (struct save *)item;
}

static void read_saves(struct queue *queue, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        struct save *save =
            nth(&queue->saves.flight, strtol(pg_result_text(result, row, 0), NULL, 10));
        if (save != NULL)
            save->applied = true;
    }
}

static void finish(struct queue *queue, struct save *save)
{
    bool lets_go = save->release_us >= 0;
    if (lets_go || !save->applied)
        leases_remove(queue, save->id, save->lease);
    if (lets_go && !job_state_is_final(save->state))
        queue_wake_in(queue, save->release_us);
    if (save->fn != NULL && !save->item.forgotten && !queue_stopping(queue))
        save->fn(save->item.owner, save->applied ? STATUS_OK : STATUS_BUSY);
}

static void finish_all(struct queue *queue)
{
    struct item *item;
    while ((item = list_pop(&queue->saves.done)) != NULL) {
        finish(queue, (struct save *)item);
        free_save(item);
    }
}

static void saved(struct queue *queue)
{
    const struct save *first = (const struct save *)queue->saves.flight.first;
    if (first->bare || queue->saves.waiting.count == 0)
        queue->saves.singly = false;
    list_return(&queue->saves.done, &queue->saves.flight);
    finish_all(queue);
}

static void saves_aborted(struct queue *queue)
{
    list_return(&queue->saves.waiting, &queue->saves.flight);
}

// One of them holds what the server cannot: alone, and then without its texts. The state counts.
static bool saves_refused(struct queue *queue, const struct pg_error *error)
{
    struct save *save = (struct save *)queue->saves.waiting.first;
    if (!queue->saves.singly) {
        queue->saves.singly = true;
    } else if (!save->bare) {
        save->bare = true;
        queue_tell(queue, LOG_LEVEL_ERROR,
                   "job %s: PostgreSQL cannot hold its result: %s (%s); stored without it",
                   save->id, error->message, error->sqlstate);
    } else {
        queue_tell(queue, LOG_LEVEL_ERROR,
                   "job %s: PostgreSQL refuses its state %s: %s (%s); it is taken up again when "
                   "its lease ends",
                   save->id, job_state_name(save->state), error->message, error->sqlstate);
        queue->saves.singly = false;
        list_pop(&queue->saves.waiting);
        list_push(&queue->saves.done, &save->item);
        save->applied = false;
        finish_all(queue);
    }
    return true;
}

const struct part part_save = {.name = "a save",
                               .wanted = save_wanted,
                               .send = send_saves,
                               .result = read_saves,
                               .committed = saved,
                               .aborted = saves_aborted,
                               .refused = saves_refused};

// SPDX-License-Identifier: Apache-2.0
// Groups: what is wanted goes out together, its answers go back to the parts when it is committed.
#include "jobs/queue_priv.h"

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// In the order in which they are sent and told: what a save lets go of is not told as lost by the
// beat behind it, and what a claim brings is not missed by the beat before it.
static const struct part *const urgent[] = {&part_listen,   &part_save,  &part_lock, &part_beat,
                                            &part_recover,  &part_claim, &part_load, &part_told,
                                            &part_notified, &part_outbox};
// Each takes its turn.
static const struct part *const lone[] = {&part_enqueue,   &part_give_back, &part_takeover,
                                          &part_schedules, &part_untold,    &part_retention,
                                          &part_counts};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// --- sending -------------------------------------------------------------------------------------

static void add_step(struct group *group, const struct part *part)
{
    if (group->n_steps == group->cap_steps) {
        group->cap_steps = group->cap_steps == 0 ? 16 : group->cap_steps * 2;
        group->steps = mem_realloc_array(group->steps, group->cap_steps, sizeof(*group->steps));
    }
    group->steps[group->n_steps++] = part;
}

// A connection that does not take it is failing: its `failed` comes.
void queue_send(struct queue *queue, const struct part *part, const char *sql,
                struct params *params)
{
    int n = params != NULL ? params->n : 0;
    for (int i = 0; i < n; i++) {
        struct pg_param *item = &params->items[i];
        bool null = item->length < 0;
        item->data = null ? NULL : params->data[i].data;
        item->length = null ? 0 : (int)params->data[i].len;
    }
    add_step(&queue->group, part);
    queue->statements++;
    (void)!pg_send(queue->conn, sql, n > 0 ? params->items : NULL, n);
}

// For the group alone, so that it works through PgBouncer in transaction mode.
static void send_timeout(struct queue *queue)
{
    char text[96];
    int64_t timeout_us = queue->settings.config->postgres.statement_timeout_us;
    if (timeout_us <= 0)
        return;
    snprintf(text, sizeof(text),
             "SELECT pg_catalog.set_config('statement_timeout', '%" PRId64 "', true)",
             (timeout_us + US_PER_MS - 1) / US_PER_MS);
    queue_send(queue, NULL, text, NULL);
}

static void begin_group(struct queue *queue, bool is_lone)
{
    struct group *group = &queue->group;
    group->n_steps = group->at = 0;
    group->lone = is_lone;
    group->failed = NULL;
    group->error_seen = false;
    send_timeout(queue);
}

static bool send_urgent(struct queue *queue)
{
    bool any = false;
    for (size_t i = 0; i < COUNT(urgent); i++) {
        if (!urgent[i]->wanted(queue))
            continue;
        if (!any)
            begin_group(queue, false);
        any = true;
        urgent[i]->send(queue);
    }
    return any;
}

static bool send_lone(struct queue *queue)
{
    for (size_t i = 0; i < COUNT(lone); i++) {
        const struct part *part = lone[(queue->turn + i) % COUNT(lone)];
        if (!part->wanted(queue))
            continue;
        queue->turn = (unsigned)((queue->turn + i + 1) % COUNT(lone));
        begin_group(queue, true);
        part->send(queue);
        return true;
    }
    return false;
}

// Urgent groups and lone ones take turns when both are wanted.
static void pump(void *owner)
{
    struct queue *queue = owner;
    queue->posted = false;
    if (queue->state != QUEUE_READY)
        return;
    bool sent = queue->lone_last ? send_urgent(queue) || send_lone(queue)
                                 : send_lone(queue) || send_urgent(queue);
    if (!sent)
        return;
    queue->lone_last = queue->group.lone;
    queue_set_state(queue, QUEUE_BUSY);
    (void)!pg_sync(queue->conn);
}

void queue_pump_soon(struct queue *queue)
{
    if (queue->posted || queue->state != QUEUE_READY)
        return;
    queue->posted = true;
    loop_post(queue->settings.loop, pump, queue);
}

// --- answers -------------------------------------------------------------------------------------

void queue_group_result(struct queue *queue, const struct pg_result *result,
                        const struct pg_error *error)
{
    struct group *group = &queue->group;
    if (group->at == group->n_steps)
        return;
    const struct part *part = group->steps[group->at++];
    if (error == NULL) {
        if (part != NULL && part->result != NULL)
            part->result(queue, result);
    } else if (error->sqlstate[0] != '\0' && !group->error_seen) {
        group->error_seen = true;
        group->failed = part;
        group->error = *error;
    }
}

// Calls a function of each part of the group, once.
static void each_part(struct queue *queue, void (*fn)(struct queue *queue, const struct part *part))
{
    const struct part *last = NULL;
    struct group *group = &queue->group;
    size_t n = group->n_steps;
    group->n_steps = 0;
    for (size_t i = 0; i < n; i++) {
        const struct part *part = group->steps[i];
        if (part != NULL && part != last)
            fn(queue, part);
        last = part;
    }
}

static void commit_part(struct queue *queue, const struct part *part)
{
    part->committed(queue); // after a stop in one, the others still forget what they sent
}

static void abort_part(struct queue *queue, const struct part *part)
{
    part->aborted(queue);
}

void queue_group_abort(struct queue *queue)
{
    each_part(queue, abort_part);
}

static bool is_absent(const char *sqlstate)
{
    // Table, schema, column, function.
    return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "3F000") == 0 ||
           strcmp(sqlstate, "42703") == 0 || strcmp(sqlstate, "42883") == 0;
}

static void describe(const struct pg_error *error, const struct part *part, struct buf *out)
{
    const char *remedy = is_absent(error->sqlstate) ? "; run `cxsink migrate`"
                         : strcmp(error->sqlstate, "42501") == 0
                             ? "; grant the role what `cxsink migrate --print` ends with"
                             : "";
    buf_printf(out, "%s of the job queue: %s%s%s (%s)%s", part != NULL ? part->name : "a statement",
               error->message, error->detail[0] != '\0' ? ": " : "", error->detail, error->sqlstate,
               remedy);
}

static void handle_refusal(struct queue *queue, const struct part *part,
                           const struct pg_error *error)
{
    enum pg_class class = pg_classify(error->sqlstate);
    struct buf sentence = {0};
    describe(error, part, &sentence);
    if (class == PG_CLASS_RECONNECT || class == PG_CLASS_BLOCKED) {
        queue->migrated = false;
        queue_lost(queue, class == PG_CLASS_BLOCKED ? STATUS_INVALID : STATUS_UNAVAILABLE,
                   buf_text(&sentence));
    } else if (class == PG_CLASS_ROW && part != NULL && part->refused != NULL &&
               part->refused(queue, error)) {
        queue_set_state(queue, QUEUE_READY);
    } else if (part != NULL && part->periodic) {
        queue_tell(queue, LOG_LEVEL_WARN, "%s; trying again at its next time", buf_text(&sentence));
        queue_set_state(queue, QUEUE_READY);
    } else {
        queue_wait(queue, buf_text(&sentence));
    }
    buf_deinit(&sentence);
}

void queue_group_synced(struct queue *queue)
{
    struct group *group = &queue->group;
    if (!group->error_seen) {
        backoff_reset(&queue->backoff);
        queue_set_state(queue, QUEUE_READY);
        queue_tell_up(queue);
        each_part(queue, commit_part);
    } else {
        struct pg_error error = group->error;
        const struct part *part = group->failed;
        queue_group_abort(queue);
        handle_refusal(queue, part, &error);
    }
    queue_pump_soon(queue);
}

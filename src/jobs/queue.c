// SPDX-License-Identifier: Apache-2.0
// Life of the queue and of its connection.
#include "jobs/queue.h"

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "jobs/queue_priv.h"
#include "pg/migrate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US (500 * US_PER_MS)
#define RETRY_FLOOR_US (10 * US_PER_MS)
// How often somebody looks for work: while notifications are not known to come, and when they are.
#define POLL_US US_PER_S
#define POLL_LISTENING_US (5 * US_PER_S)
// What an answer may take beyond the server's own statement_timeout; and how long when there is
// none.
#define ANSWER_GRACE_US (5 * US_PER_S)
#define ANSWER_MAX_US (600 * US_PER_S)
// How long stopping waits for saves and leases.
#define PATIENCE_US US_PER_S

static const struct config_postgres *postgres(const struct queue *queue)
{
    return &queue->settings.config->postgres;
}

static const char *state_name(enum queue_state state)
{
    static const char *const names[] = {
#define QUEUE_NAME(id, name) [QUEUE_##id] = name,
        QUEUE_STATES(QUEUE_NAME)
#undef QUEUE_NAME
    };
    return names[state];
}

void queue_set_state(struct queue *queue, enum queue_state state)
{
    if (queue->state == QUEUE_STOPPED || queue->state == state)
        return;
    bool busy = queue->state == QUEUE_BUSY || state == QUEUE_BUSY; // many times a second
    if (!busy)
        log_debug(NULL, "job queue: %s -> %s", state_name(queue->state), state_name(state));
    queue->state = state;
}

// --- telling the owner ---------------------------------------------------------------------------

bool queue_stopping(const struct queue *queue)
{
    return queue->stop.fn != NULL || queue->state == QUEUE_STOPPED;
}

void queue_tell(struct queue *queue, enum log_level level, const char *format, ...)
{
    char sentence[STATUS_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    if (!queue_stopping(queue))
        queue->settings.callbacks.told(queue->settings.owner, level, sentence);
}

// Once a change.
static void tell_connection(struct queue *queue, const struct status *st, int64_t retry_us)
{
    bool same = queue->told && (st == NULL ? queue->trouble.code == STATUS_OK
                                           : strcmp(st->detail, queue->trouble.detail) == 0);
    queue->told = true;
    if (st != NULL)
        queue->trouble = *st;
    else
        status_clear(&queue->trouble);
    if (!same && !queue_stopping(queue))
        queue->settings.callbacks.connection(queue->settings.owner, st, retry_us);
}

void queue_tell_up(struct queue *queue)
{
    tell_connection(queue, NULL, 0);
}

static int64_t start_retry(struct queue *queue)
{
    int64_t delay_us = backoff_next(&queue->backoff, backoff_random());
    timer_start(&queue->retry, delay_us);
    return delay_us;
}

static void disconnect(struct queue *queue)
{
    queue_group_abort(queue);
    migrate_cancel(&queue->migration);
    pg_conn_close(&queue->conn);
    queue->listening = queue->proven = false;
    queue_set_state(queue, QUEUE_DOWN);
}

void queue_lost(struct queue *queue, enum status_code code, const char *sentence)
{
    struct status st;
    status_set(&st, code, "%s", sentence);
    disconnect(queue);
    tell_connection(queue, &st, start_retry(queue));
}

void queue_wait(struct queue *queue, const char *sentence)
{
    queue_set_state(queue, QUEUE_WAITING);
    int64_t delay_us = start_retry(queue);
    queue_tell(queue, LOG_LEVEL_WARN, "%s; trying again in %.2f s", sentence,
               (double)delay_us / (double)US_PER_S);
}

// --- events of the connection --------------------------------------------------------------------

static void become_ready(struct queue *queue)
{
    queue_set_state(queue, QUEUE_READY);
    if (!queue->settings.worker)
        queue_tell_up(queue);
    queue->leases.recover = queue->settings.worker;
    queue->lone_last = true;             // the urgent ones begin: they show whether it works
    queue->polled_at = (struct mono){0}; // looks at once
    leases_beat_soon(queue);
    queue_wake_in(queue, 0);
    queue_pump_soon(queue);
}

static void on_migrated(void *owner, const struct migrate_outcome *outcome)
{
    struct queue *queue = owner;
    queue->migration = NULL;
    if (outcome->code != STATUS_OK) {
        queue_lost(queue, outcome->code, outcome->detail);
        return;
    }
    queue->migrated = true;
    if (outcome->applied != 0)
        queue_tell(queue, LOG_LEVEL_INFO, "database schema brought to version %u by %u migration%s",
                   outcome->version, outcome->applied, outcome->applied == 1 ? "" : "s");
    become_ready(queue);
}

enum status_code queue_check_server(int version, struct status *st)
{
    if (version >= QUEUE_SERVER_MIN)
        return STATUS_OK;
    return status_set(st, STATUS_INVALID,
                      "jobs need PostgreSQL %d or later, and this server is %d.%d; events do not",
                      QUEUE_SERVER_MIN / 10000, version / 10000, version % 10000);
}

static void on_connected(void *owner)
{
    struct queue *queue = owner;
    enum config_migrate mode = postgres(queue)->migrate;
    struct status st;
    if (queue_check_server(pg_conn_server_version(queue->conn), &st) != STATUS_OK) {
        queue_lost(queue, st.code, st.detail);
        return;
    }
    if (!queue->settings.worker || queue->migrated || mode == MIGRATE_OFF) {
        become_ready(queue);
        return;
    }
    queue_set_state(queue, QUEUE_PREPARING);
    queue->migration = migrate_start(
        queue->conn, mode == MIGRATE_AUTO ? MIGRATE_APPLY : MIGRATE_VERIFY, on_migrated, queue);
}

static void on_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct queue *queue = owner;
    if (queue->state == QUEUE_PREPARING)
        migrate_result(queue->migration, result, error);
    else
        queue_group_result(queue, result, error);
}

static void on_synced(void *owner)
{
    struct queue *queue = owner;
    if (queue->state == QUEUE_PREPARING)
        migrate_synced(queue->migration);
    else
        queue_group_synced(queue);
}

static void on_failed(void *owner, const struct pg_error *error)
{
    struct queue *queue = owner;
    bool coded = error->sqlstate[0] != '\0';
    bool blocked = pg_classify(error->sqlstate) == PG_CLASS_BLOCKED;
    struct buf sentence = {0};
    buf_printf(&sentence, "%s%s%s%s", error->message, coded ? " (" : "", error->sqlstate,
               coded ? ")" : "");
    queue_lost(queue, blocked ? STATUS_DENIED : STATUS_UNAVAILABLE, buf_text(&sentence));
    buf_deinit(&sentence);
}

static void on_notified(void *owner, const char *channel, const char *payload)
{
    struct queue *queue = owner;
    if (strcmp(channel, QUEUE_CHANNEL) != 0)
        return;
    // Behind PgBouncer in transaction mode none can come while nothing is in flight.
    queue->proven |= queue->state == QUEUE_READY;
    if (strcmp(payload, "cancel") == 0)
        leases_beat_soon(queue);
    else if (strcmp(payload, "ended") == 0)
        ends_soon(queue);
    queue_wake_in(queue, 0);
}

static void connect_now(struct queue *queue)
{
    static const struct pg_callbacks callbacks = {.connected = on_connected,
                                                  .result = on_result,
                                                  .synced = on_synced,
                                                  .failed = on_failed,
                                                  .notified = on_notified};
    int64_t statement_us = postgres(queue)->statement_timeout_us;
    const struct pg_settings settings = {
        .dsn = postgres(queue)->dsn,
        .application_name = "cxsink-jobs",
        .connect_timeout_us = postgres(queue)->connect_timeout_us,
        .answer_timeout_us = statement_us > 0 ? statement_us + ANSWER_GRACE_US : ANSWER_MAX_US,
    };
    queue_set_state(queue, QUEUE_CONNECTING);
    queue->conn =
        pg_conn_open(queue->settings.loop, queue->settings.resolver, &settings, &callbacks, queue);
}

static void on_retry(void *owner)
{
    struct queue *queue = owner;
    if (queue->state == QUEUE_DOWN) {
        connect_now(queue);
    } else if (queue->state == QUEUE_WAITING) {
        queue_set_state(queue, QUEUE_READY);
        queue_pump_soon(queue);
    }
}

// --- time ----------------------------------------------------------------------------------------

void clockwork_start(struct clockwork *c, struct mono now, int64_t period_us)
{
    *c = (struct clockwork){.period_us = period_us, .next = now};
}

bool clockwork_due(const struct queue *queue, const struct clockwork *c)
{
    return mono_diff(loop_now(queue->settings.loop), c->next) >= 0;
}

void clockwork_wind(const struct queue *queue, struct clockwork *c)
{
    c->next = mono_add(loop_now(queue->settings.loop), c->period_us);
}

void queue_wake_in(struct queue *queue, int64_t delay_us)
{
    if (!queue->settings.worker || queue_stopping(queue))
        return;
    if (!timer_running(&queue->wake) || timer_left_us(&queue->wake) > delay_us)
        timer_start(&queue->wake, delay_us);
}

static void on_wake(void *owner)
{
    struct queue *queue = owner;
    if (!queue_connected(queue))
        return;
    queue->polled_at = loop_now(queue->settings.loop);
    claim_tell_void(queue);
    if (queue_stopping(queue))
        return;
    queue->settings.callbacks.wake(queue->settings.owner);
}

static void on_tick(void *owner)
{
    struct queue *queue = owner;
    int64_t poll_us = queue->proven ? POLL_LISTENING_US : POLL_US;
    if (mono_diff(loop_now(queue->settings.loop), queue->polled_at) >= poll_us)
        queue_wake_in(queue, 0);
    queue_pump_soon(queue);
}

// --- life ----------------------------------------------------------------------------------------

static void on_impatience(void *owner)
{
    queue_stopped(owner);
}

static void init_timers(struct queue *queue)
{
    struct loop *loop = queue->settings.loop;
    timer_init(&queue->retry, loop, "job queue retry", on_retry, queue);
    timer_init(&queue->tick, loop, "job queue tick", on_tick, queue);
    timer_init(&queue->wake, loop, "job due", on_wake, queue);
    timer_init(&queue->stop.patience, loop, "job queue stop", on_impatience, queue);
    if (queue->settings.worker)
        timer_start_periodic(&queue->tick, TICK_US);
}

static void take_settings(struct queue *queue)
{
    queue->backoff = (struct backoff){.base_us = postgres(queue)->retry_base_us,
                                      .cap_us = postgres(queue)->retry_cap_us,
                                      .floor_us = RETRY_FLOOR_US};
}

struct queue *queue_create(const struct queue_settings *settings)
{
    struct queue *queue = mem_zalloc(sizeof(*queue));
    struct uuid worker = uuid_random();
    queue->settings = *settings;
    uuid_format(&worker, queue->worker);
    queue->saves.token = (int64_t)(backoff_random() >> 1);
    take_settings(queue);
    init_timers(queue);
    upkeep_start(queue);
    connect_now(queue);
    return queue;
}

void queue_reconfigure(struct queue *queue, const struct config *config)
{
    bool moved = strcmp(postgres(queue)->dsn, config->postgres.dsn) != 0;
    claim_cancel(queue);
    queue->settings.config = config;
    take_settings(queue);
    if (queue->state == QUEUE_STOPPED)
        return;
    if (moved || queue->state == QUEUE_DOWN) {
        queue->migrated = false;
        timer_stop(&queue->retry);
        disconnect(queue);
        connect_now(queue);
    }
    queue_wake_in(queue, 0);
}

bool queue_connected(const struct queue *queue)
{
    return queue->state == QUEUE_READY || queue->state == QUEUE_BUSY ||
           queue->state == QUEUE_WAITING;
}

void queue_stopped(struct queue *queue)
{
    void (*fn)(void *owner) = queue->stop.fn;
    if (fn == NULL || queue->state == QUEUE_STOPPED)
        return;
    timer_stop(&queue->stop.patience);
    timer_stop(&queue->retry);
    timer_stop(&queue->tick);
    timer_stop(&queue->wake);
    disconnect(queue);
    queue_set_state(queue, QUEUE_STOPPED);
    fn(queue->stop.owner);
}

void queue_stop(struct queue *queue, void (*fn)(void *owner), void *owner)
{
    if (queue_stopping(queue))
        return;
    queue->stop.fn = fn;
    queue->stop.owner = owner;
    claim_cancel(queue);
    bool nothing = queue->leases.count == 0 && queue->saves.waiting.count == 0 &&
                   queue->saves.flight.count == 0 && queue->enqueues.count == 0;
    timer_start(&queue->stop.patience, nothing && !queue_connected(queue) ? 0 : PATIENCE_US);
    queue_pump_soon(queue);
}

void queue_forget(struct queue *queue, const void *owner)
{
    list_forget(&queue->saves.waiting, owner);
    list_forget(&queue->saves.flight, owner);
    list_forget(&queue->saves.done, owner);
    list_forget(&queue->locks.waiting, owner);
    list_forget(&queue->locks.flight, owner);
    list_forget(&queue->locks.done, owner);
    list_forget(&queue->loads.waiting, owner);
    list_forget(&queue->loads.flight, owner);
    list_forget(&queue->ends.waiting, owner);
    list_forget(&queue->ends.flight, owner);
    list_forget(&queue->ends.done, owner);
    list_forget(&queue->enqueues, owner);
    list_forget(&queue->outbox.asked, owner);
}

static void free_queue(void *object)
{
    struct queue *queue = object;
    saves_free(queue);
    locks_free(queue);
    loads_free(queue);
    leases_free(queue);
    claim_free(queue);
    enqueues_free(queue);
    outbox_free(queue);
    upkeep_free(queue);
    ends_free(queue);
    params_deinit(&queue->params);
    free(queue->group.steps);
    free(queue);
}

void queue_destroy(struct queue **pointer)
{
    struct queue *queue = *pointer;
    if (queue == NULL)
        return;
    *pointer = NULL;
    timer_stop(&queue->stop.patience);
    timer_stop(&queue->retry);
    timer_stop(&queue->tick);
    timer_stop(&queue->wake);
    loop_unpost(queue->settings.loop, queue);
    queue_set_state(queue, QUEUE_STOPPED); // before anything that is aborted starts a timer
    disconnect(queue);
    loop_defer_free(queue->settings.loop, queue, free_queue);
}

uint64_t queue_statements(const struct queue *queue)
{
    return queue->statements;
}

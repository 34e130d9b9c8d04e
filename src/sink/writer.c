// SPDX-License-Identifier: Apache-2.0
// A lane: one connection, one open batch, one in flight. It connects, sends the open batch when it
// is full or its linger is over, and repeats what is in flight until it is committed.
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/log.h"
#include "core/log_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Least delay before anything is tried again.
#define RETRY_FLOOR_US (10 * US_PER_MS)
// What the answer to a statement may take beyond the server's own statement_timeout; and how long
// an answer may take when there is none.
#define ANSWER_GRACE_US (5 * US_PER_S)
#define ANSWER_MAX_US (600 * US_PER_S)

static const struct config_postgres *postgres(const struct lane *lane)
{
    return &lane->sink->settings.config->postgres;
}

const char *lane_state_name(enum lane_state state)
{
    static const char *const names[] = {
#define LANE_NAME(id, name, sentence) [LANE_##id] = name,
        LANE_STATES(LANE_NAME)
#undef LANE_NAME
    };
    return names[state];
}

void lane_set_state(struct lane *lane, enum lane_state state)
{
    if (lane->state == state)
        return;
    log_debug(NULL, "PostgreSQL lane %u: %s -> %s", lane->index, lane_state_name(lane->state),
              lane_state_name(state));
    lane->state = state;
    account_connections(lane->sink);
    sink_wake(lane->sink);
}

bool lane_in_transaction(const struct lane *lane)
{
    return lane->state == LANE_SENT || lane->state == LANE_ISOLATING ||
           lane->state == LANE_ROLLBACK;
}

bool lane_connected(const struct lane *lane)
{
    return lane->state != LANE_DOWN && lane->state != LANE_CONNECTING;
}

// --- events of the connection --------------------------------------------------------------------

static void on_connected(void *owner)
{
    struct lane *lane = owner;
    log_info(NULL, "PostgreSQL lane %u: connected to %s", lane->index, pg_conn_peer(lane->conn));
    if (lane->index == 0 || lane->blocked || !sink_has_tables(lane->sink))
        prepare_start(lane);
    else
        lane_continue(lane);
}

static void on_result(void *owner, const struct pg_result *result, const struct pg_error *error)
{
    struct lane *lane = owner;
    if (lane->state == LANE_PREPARING)
        prepare_result(lane, result, error);
    else if (lane->state == LANE_SENT || lane->state == LANE_ISOLATING)
        transact_result(lane, result, error);
}

static void on_synced(void *owner)
{
    struct lane *lane = owner;
    if (lane->state == LANE_PREPARING)
        prepare_synced(lane);
    else if (lane->state == LANE_SENT)
        transact_synced(lane);
    else if (lane->state == LANE_ISOLATING)
        isolate_synced(lane);
    else if (lane->state == LANE_ROLLBACK)
        transact_rolled_back(lane);
}

static void on_failed(void *owner, const struct pg_error *error)
{
    struct lane *lane = owner;
    // What the server said before it closed is worth more than that it closed.
    if (lane_in_transaction(lane) && lane->failed && error->sqlstate[0] == '\0')
        error = &lane->error;
    lane_lost(lane, error);
}

// --- connecting ----------------------------------------------------------------------------------

void lane_connect(struct lane *lane)
{
    static const struct pg_callbacks callbacks = {
        .connected = on_connected, .result = on_result, .synced = on_synced, .failed = on_failed};
    const struct sink_settings *sink = &lane->sink->settings;
    int64_t statement_us = postgres(lane)->statement_timeout_us;
    struct pg_settings settings = {
        .dsn = postgres(lane)->dsn,
        .application_name = "cxsink",
        .connect_timeout_us = postgres(lane)->connect_timeout_us,
        .answer_timeout_us = statement_us > 0 ? statement_us + ANSWER_GRACE_US : ANSWER_MAX_US,
    };
    timer_stop(&lane->retry);
    lane_set_state(lane, LANE_CONNECTING);
    lane->conn = pg_conn_open(sink->loop, sink->resolver, &settings, &callbacks, lane);
}

void lane_disconnect(struct lane *lane)
{
    prepare_cancel(lane);
    timer_stop(&lane->retry);
    pg_conn_close(&lane->conn);
    if (lane->forget)
        lane_drop_flight(lane);
    lane_set_state(lane, LANE_DOWN);
}

// --- trouble -------------------------------------------------------------------------------------

static double start_retry(struct lane *lane)
{
    int64_t delay_us = backoff_next(&lane->backoff, backoff_random());
    timer_start(&lane->retry, delay_us);
    return (double)delay_us / (double)US_PER_S;
}

// Once, and now and then while it lasts.
static void tell_trouble(struct lane *lane, enum status_code code, const struct pg_error *error,
                         const char *next)
{
    double delay = start_retry(lane);
    bool blocked = code != STATUS_UNAVAILABLE;
    if (!sink_set_trouble(lane->sink, code, error))
        log_debug(NULL, "PostgreSQL lane %u: the same again; %s in %.2f s", lane->index, next,
                  delay);
    else
        log_event(blocked ? LOG_ID_DATABASE_BLOCKED : LOG_ID_DATABASE_DOWN, NULL,
                  "PostgreSQL lane %u: %s; %s%s in %.2f s", lane->index, lane->sink->trouble.detail,
                  blocked ? "this needs a person, events stay in the spool, " : "", next, delay);
}

void lane_retry(struct lane *lane, const struct pg_error *error)
{
    account_failure(lane, "retried", error->sqlstate);
    lane->blocked = false;
    lane_set_state(lane, LANE_WAITING);
    tell_trouble(lane, STATUS_UNAVAILABLE, error, "trying again");
}

void lane_block(struct lane *lane, const struct pg_error *error)
{
    account_failure(lane, "blocked", error->sqlstate[0] != '\0' ? error->sqlstate : "catalog");
    lane->blocked = true;
    lane->sink->migrated = false;
    lane_set_state(lane, LANE_WAITING);
    tell_trouble(lane, STATUS_INVALID, error, "looking again");
}

void lane_reread(struct lane *lane, const struct pg_error *error)
{
    account_failure(lane, "retried", error->sqlstate);
    lane->reread = true;
    log_info(NULL, "PostgreSQL lane %u: %s (%s); looking whether the tables changed", lane->index,
             error->message, error->sqlstate);
    prepare_start(lane);
}

// What a person can do about a session that did not come up.
static void add_remedy(struct pg_error *error)
{
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof(error->message) - used, "; %s",
             pg_remedy(error->sqlstate));
}

void lane_lost(struct lane *lane, const struct pg_error *error)
{
    // `error` may be the connection's, which goes now.
    struct pg_error copy = *error;
    bool blocked = copy.sqlstate[0] != '\0' && pg_classify(copy.sqlstate) == PG_CLASS_BLOCKED;
    if (lane->state == LANE_CONNECTING)
        add_remedy(&copy);
    if (!lane->forget)
        account_failure(lane, "retried", copy.sqlstate);
    lane_disconnect(lane);
    if (lane->sink->reconfigure)
        return;
    lane->blocked = blocked;
    tell_trouble(lane, blocked ? STATUS_DENIED : STATUS_UNAVAILABLE, &copy, "connecting again");
}

static void on_retry(void *owner)
{
    struct lane *lane = owner;
    if (lane->state == LANE_DOWN)
        lane_connect(lane);
    else if (lane->state == LANE_WAITING && (lane->blocked || lane->reread))
        prepare_start(lane);
    else if (lane->state == LANE_WAITING)
        lane_continue(lane);
}

void lane_sync(struct lane *lane)
{
    lane->asked_at = loop_now(lane->sink->settings.loop);
    (void)!pg_sync(lane->conn); // one that is failing says so by `failed`
}

// --- batches -------------------------------------------------------------------------------------

static void take_open(struct lane *lane)
{
    struct batch *taken = lane->open;
    lane->open = lane->flight;
    lane->flight = taken;
    lane->ripe = false;
    timer_stop(&lane->linger);
}

void lane_continue(struct lane *lane)
{
    if (lane->sink->reconfigure) {
        lane_disconnect(lane);
        return;
    }
    timer_stop(&lane->retry);
    if (batch_events(lane->flight) == 0 && lane->ripe)
        take_open(lane);
    if (batch_events(lane->flight) != 0 && !lane->sink->again && hold_admits(lane)) {
        transact_send(lane);
        return;
    }
    backoff_reset(&lane->backoff);
    lane->blocked = false;
    lane_set_state(lane, LANE_IDLE);
}

void lane_drop_flight(struct lane *lane)
{
    lane->forget = false;
    lane->bare = false;
    lane->reread = false;
    batch_clear(lane->flight);
}

void lane_committed(struct lane *lane)
{
    account_commit(lane);
    lane_drop_flight(lane);
    backoff_reset(&lane->backoff);
    lane->blocked = false;
    sink_wake(lane->sink);
    lane_continue(lane);
}

void lane_forget(struct lane *lane)
{
    batch_clear(lane->open);
    lane->ripe = false;
    timer_stop(&lane->linger);
    if (lane_in_transaction(lane))
        lane->forget = true;
    else
        batch_clear(lane->flight);
}

static void on_linger(void *owner)
{
    struct lane *lane = owner;
    lane_flush(lane);
}

void lane_flush(struct lane *lane)
{
    if (batch_events(lane->open) == 0)
        return;
    lane->ripe = true;
    if (lane->state == LANE_IDLE)
        lane_continue(lane);
}

void lane_pushed(struct lane *lane)
{
    if (batch_full(lane->open))
        lane_flush(lane);
    else if (!lane->ripe && !timer_running(&lane->linger))
        timer_start(&lane->linger, postgres(lane)->linger_us);
}

// --- life ----------------------------------------------------------------------------------------

void lane_init(struct lane *lane, struct sink *sink, unsigned index)
{
    const struct config_postgres *pg = &sink->settings.config->postgres;
    struct batch_limits limits = {.events = pg->batch_events, .bytes = pg->batch_bytes};
    *lane = (struct lane){
        .sink = sink,
        .index = index,
        .state = LANE_DOWN,
        .backoff = {.base_us = pg->retry_base_us,
                    .cap_us = pg->retry_cap_us,
                    .floor_us = RETRY_FLOOR_US},
    };
    timer_init(&lane->linger, sink->settings.loop, "batch linger", on_linger, lane);
    timer_init(&lane->retry, sink->settings.loop, "PostgreSQL retry", on_retry, lane);
    batch_init(&lane->batches[0], &limits);
    batch_init(&lane->batches[1], &limits);
    lane->open = &lane->batches[0];
    lane->flight = &lane->batches[1];
}

void lane_deinit(struct lane *lane)
{
    timer_stop(&lane->linger);
    timer_stop(&lane->retry);
    prepare_cancel(lane);
    pg_conn_close(&lane->conn);
    batch_deinit(&lane->batches[0]);
    batch_deinit(&lane->batches[1]);
    dead_list_deinit(&lane->refused);
    dead_tallies_clear(&lane->dead);
    free(lane->tallies);
    free(lane->steps);
}

// SPDX-License-Identifier: Apache-2.0
// What the sink tells its owner, and what changes all lanes at once: new tables, new lanes. All of
// it runs as a post of the loop, never inside a callback of a connection.
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/log.h"

#include <string.h>

// A trouble that lasts is told again after this.
#define REMIND_US (600 * US_PER_S)

static const char *state_sentence(enum sink_state state)
{
    static const char *const sentences[] = {
#define SINK_SENTENCE(id, name, sentence) [SINK_##id] = sentence,
        SINK_STATES(SINK_SENTENCE)
#undef SINK_SENTENCE
    };
    return sentences[state];
}

bool sink_set_trouble(struct sink *sink, enum status_code code, const struct pg_error *error)
{
    struct status before = sink->trouble;
    struct mono now = loop_now(sink->settings.loop);
    bool named = error->sqlstate[0] != '\0';
    status_set(&sink->trouble, code, "%s%s%s%s%s%s", error->message, error->detail[0] ? ": " : "",
               error->detail, named ? " (SQLSTATE " : "", error->sqlstate, named ? ")" : "");
    sink_wake(sink);
    if (strcmp(before.detail, sink->trouble.detail) == 0 &&
        mono_diff(now, sink->told_at) < REMIND_US)
        return false;
    sink->told_at = now;
    return true;
}

// --- state ---------------------------------------------------------------------------------------

struct lane_counts {
    unsigned connected, failing, settling;
    bool blocked;
};

static struct lane_counts count_lanes(const struct sink *sink)
{
    struct lane_counts counts = {0};
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        const struct lane *lane = &sink->lanes[i];
        counts.connected += lane_connected(lane);
        counts.failing += lane->backoff.attempts != 0;
        counts.settling += !lane_connected(lane) || lane->state == LANE_PREPARING;
        counts.blocked = counts.blocked || lane->blocked;
    }
    return counts;
}

static enum sink_state derive_state(const struct sink *sink)
{
    struct lane_counts counts = count_lanes(sink);
    if (!sink->started)
        return SINK_DOWN;
    if (counts.blocked)
        return SINK_BLOCKED;
    if (counts.connected == 0)
        return counts.failing != 0 ? SINK_DOWN : SINK_CONNECTING;
    if (!sink_has_tables(sink))
        return sink->lanes[0].state == LANE_WAITING ? SINK_RETRYING : SINK_PREPARING;
    if (counts.failing != 0)
        return SINK_RETRYING;
    return counts.settling != 0 ? SINK_CONNECTING : SINK_READY;
}

static void set_state(struct sink *sink, enum sink_state state)
{
    enum sink_state from = sink->state;
    if (from == state)
        return;
    sink->state = state;
    if (state == SINK_READY)
        status_clear(&sink->trouble);
    log_info(NULL, "sink: %s -> %s: %s", sink_state_name(from), sink_state_name(state),
             state_sentence(state));
    if (sink->settings.callbacks.state != NULL)
        sink->settings.callbacks.state(sink->settings.owner, from, state, &sink->trouble);
}

// --- telling the owner ---------------------------------------------------------------------------

// Everything up to here is committed.
static uint64_t watermark(const struct sink *sink)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        const struct lane *lane = &sink->lanes[i];
        if (lane->open->min_seq < least)
            least = lane->open->min_seq;
        if (!lane->forget && lane->flight->min_seq < least)
            least = lane->flight->min_seq;
    }
    return least == UINT64_MAX ? sink->pushed : least - (least != 0);
}

static void tell_dead(struct sink *sink)
{
    struct dead_tallies dead = sink->dead;
    sink->dead = (struct dead_tallies){0};
    for (size_t i = 0; i < dead.count && sink->state != SINK_STOPPED; i++) {
        const struct dead_tally *tally = &dead.items[i];
        if (sink->settings.callbacks.dead != NULL)
            sink->settings.callbacks.dead(sink->settings.owner, tally->stream, tally->reason,
                                          tally->count, tally->example_id);
    }
    dead_tallies_clear(&dead);
}

static void tell_acked(struct sink *sink)
{
    uint64_t seq = watermark(sink);
    if (seq <= sink->acked)
        return;
    sink->acked = seq;
    if (sink->settings.callbacks.acked != NULL)
        sink->settings.callbacks.acked(sink->settings.owner, seq);
}

static bool has_room(const struct sink *sink)
{
    if (!sink_has_tables(sink))
        return false;
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        if ((sink->starved_lane == i || sink->starved_lane == sink->n_lanes) &&
            !batch_full(sink->lanes[i].open))
            return true;
    }
    return false;
}

static void tell_room(struct sink *sink)
{
    if (!sink->starved || !has_room(sink))
        return;
    sink->starved = false;
    if (sink->settings.callbacks.room != NULL)
        sink->settings.callbacks.room(sink->settings.owner);
}

// Forgets what was pushed: the owner reads it again. Where streams may have been held, that begins
// before what was acknowledged.
static void forget_all(struct sink *sink)
{
    sink->again = false;
    sink->starved = false;
    if (sink->settings.guarded)
        sink->acked = 0;
    sink->pushed = sink->acked;
    for (unsigned i = 0; i < sink->n_lanes; i++)
        lane_forget(&sink->lanes[i]);
    if (sink->settings.callbacks.restarted != NULL)
        sink->settings.callbacks.restarted(sink->settings.owner);
}

// Takes the tables that were read. Rows that are encoded for other ones are forgotten.
static void install(struct sink *sink)
{
    struct tables old = sink->tables;
    sink->install = false;
    sink->tables = sink->incoming;
    sink->incoming = (struct tables){0};
    forget_all(sink);
    tables_deinit(&old);
    tables_deinit(&sink->retired);
    for (unsigned i = 0; i < sink->n_lanes && sink->state != SINK_STOPPED; i++) {
        struct lane *lane = &sink->lanes[i];
        bool prepared = lane->state == LANE_PREPARING && sink->prepare.lane != lane;
        // What a lane waited with is forgotten, so there is nothing to wait for.
        if (prepared || lane->state == LANE_WAITING)
            lane_continue(lane);
        else if (lane->state == LANE_DOWN && !timer_running(&lane->retry))
            lane_connect(lane);
    }
}

// The lanes of a new configuration, once the old ones have nothing in flight.
static void rebuild(struct sink *sink)
{
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        if (lane_in_transaction(&sink->lanes[i]))
            return;
    }
    timer_stop(&sink->patience);
    sink_drop_lanes(sink);
    sink_make_lanes(sink);
    sink->reconfigure = false;
    sink->migrated = false;
    lane_connect(&sink->lanes[0]);
}

static void sink_notify(void *owner)
{
    struct sink *sink = owner;
    sink->woken = false;
    hold_tell(sink);
    if (sink->state != SINK_STOPPED && sink->reconfigure)
        rebuild(sink);
    if (sink->state != SINK_STOPPED && sink->install && !sink->reconfigure)
        install(sink);
    if (sink->state != SINK_STOPPED && sink->again && sink_has_tables(sink))
        forget_all(sink);
    if (sink->state != SINK_STOPPED)
        tell_dead(sink);
    if (sink->state != SINK_STOPPED)
        tell_acked(sink);
    if (sink->state != SINK_STOPPED)
        set_state(sink, derive_state(sink));
    if (sink->state != SINK_STOPPED)
        tell_room(sink);
}

void sink_wake(struct sink *sink)
{
    if (sink->woken || sink->state == SINK_STOPPED)
        return;
    sink->woken = true;
    loop_post(sink->settings.loop, sink_notify, sink);
}

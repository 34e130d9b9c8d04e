// SPDX-License-Identifier: Apache-2.0
// Streams that are held, since too many of their last events were refused (reject_guard). A batch
// that would go too far is not committed: the stream is held, everything that was pushed is
// forgotten, and the owner pushes it again without that stream.
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hold_configure(struct sink *sink, struct sink_stream *stream)
{
    const struct config *config = sink->settings.config;
    const struct config_stream *found = NULL;
    for (size_t i = 0; sink->settings.guarded && i < config->n_streams; i++) {
        if (strcmp(config->streams[i].name, stream->name) == 0)
            found = &config->streams[i];
    }
    stream->held = false;
    guard_init(&stream->guard, found != NULL ? found->guard_share : 0,
               found != NULL ? found->guard_events : 0);
}

// What a flight holds of a stream.
struct part {
    uint64_t rows, refused_rows, dead;
    const char *reason; // of the first dead letter, not NUL-terminated; NULL: there is none
    size_t reason_length;
};

// Of each stream; to be freed.
static struct part *parts_of(const struct lane *lane)
{
    const struct batch *batch = lane->flight;
    struct part *parts = mem_zalloc((lane->sink->n_streams + 1) * sizeof(*parts));
    for (size_t i = 0; i < batch->dead.count; i++) {
        const struct batch_dead *dead = &batch->dead.items[i];
        struct part *part = &parts[dead->origin.stream];
        if (part->dead++ == 0) {
            part->reason = batch->dead.texts.data + dead->at;
            part->reason_length = dead->reason_length;
        }
    }
    for (size_t i = 0; i < batch->n_rows; i++) {
        struct part *part = &parts[batch->rows[i].origin.stream];
        part->rows++;
        part->refused_rows += batch->rows[i].refused;
    }
    return parts;
}

static void hold(struct lane *lane, struct sink_stream *stream, const struct part *part)
{
    struct sink_hold *hold = &stream->hold;
    *hold = (struct sink_hold){.refused = stream->guard.refused + part->refused_rows + part->dead,
                               .events = stream->guard.seen + part->rows + part->dead};
    if (part->reason != NULL)
        snprintf(hold->reason, sizeof(hold->reason), "%.*s", (int)part->reason_length,
                 part->reason);
    else
        snprintf(hold->reason, sizeof(hold->reason), "db.%s", lane->error.sqlstate);
    stream->held = true;
    stream->told = false;
    lane->sink->again = true;
    sink_wake(lane->sink);
}

bool hold_admits(struct lane *lane)
{
    struct sink *sink = lane->sink;
    bool admitted = true;
    if (!sink->settings.guarded)
        return true;
    struct part *parts = parts_of(lane);
    for (uint32_t i = 0; i < sink->n_streams; i++) {
        const struct part *part = &parts[i];
        if (!guard_trips(&sink->streams[i].guard, part->rows + part->dead,
                         part->refused_rows + part->dead))
            continue;
        hold(lane, &sink->streams[i], part);
        admitted = false;
    }
    free(parts);
    return admitted;
}

void hold_count(struct lane *lane)
{
    struct sink *sink = lane->sink;
    if (!sink->settings.guarded || lane->forget)
        return;
    struct part *parts = parts_of(lane);
    for (uint32_t i = 0; i < sink->n_streams; i++)
        guard_count(&sink->streams[i].guard, parts[i].rows + parts[i].dead,
                    parts[i].refused_rows + parts[i].dead);
    free(parts);
}

void hold_tell(struct sink *sink)
{
    const struct sink_callbacks *callbacks = &sink->settings.callbacks;
    for (uint32_t i = 0; i < sink->n_streams && sink->state != SINK_STOPPED; i++) {
        struct sink_stream *stream = &sink->streams[i];
        if (!stream->held || stream->told)
            continue;
        stream->told = true;
        if (callbacks->held != NULL)
            callbacks->held(sink->settings.owner, stream->name, &stream->hold);
    }
}

static struct sink_stream *find_held(const struct sink *sink, const char *name)
{
    for (uint32_t i = 0; i < sink->n_streams; i++) {
        if (sink->streams[i].held && strcmp(sink->streams[i].name, name) == 0)
            return &sink->streams[i];
    }
    return NULL;
}

const struct sink_hold *sink_held(const struct sink *sink, const char *name)
{
    const struct sink_stream *stream = find_held(sink, name);
    return stream != NULL ? &stream->hold : NULL;
}

bool sink_release(struct sink *sink, const char *name, bool accept)
{
    struct sink_stream *stream = find_held(sink, name);
    if (stream == NULL)
        return false;
    stream->held = false;
    guard_reset(&stream->guard, accept);
    sink->again = true;
    sink_wake(sink);
    return true;
}

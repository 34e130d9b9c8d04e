// SPDX-License-Identifier: Apache-2.0
// Streams that are held, since too many of their events are refused: their records stay in the
// spool, the other streams go on. The spool is acknowledged up to the oldest record of a held
// stream; behind it are records of other streams that are committed, which are passed over when it
// is read again.
#include "core/log_event.h"
#include "core/mem.h"
#include "daemon_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Above this share of its bound the spool does not keep what is held any longer: a full one would
// stop or lose what is received, and dead letters can be replayed.
#define RELIEVE_PERCENT 80

static struct app_passed *passed_of(struct app_hold *hold, const char *stream)
{
    for (size_t i = 0; i < hold->n_passed; i++) {
        if (hold->passed[i].stream == stream)
            return &hold->passed[i];
    }
    hold->passed = mem_realloc_array(hold->passed, hold->n_passed + 1, sizeof(*hold->passed));
    hold->passed[hold->n_passed] = (struct app_passed){.stream = stream};
    return &hold->passed[hold->n_passed++];
}

bool hold_skips(struct daemon *d, uint64_t seq, const char *stream)
{
    struct app_hold *hold = &d->hold;
    hold->read = seq;
    if (hold->active && sink_held(d->sink, stream) != NULL) {
        if (hold->first == 0)
            hold->first = seq;
        return true;
    }
    if (hold->active && seq <= passed_of(hold, stream)->seq)
        return true;
    hold->pushed = seq;
    return false;
}

// What the sink acknowledged is committed of every stream that is not held.
static void note_passed(struct daemon *d)
{
    struct app_hold *hold = &d->hold;
    for (size_t i = 0; i < d->n_names; i++) {
        struct app_passed *passed = passed_of(hold, d->names[i]);
        if (passed->seq < hold->acked && sink_held(d->sink, passed->stream) == NULL)
            passed->seq = hold->acked;
    }
}

static bool any_held(const struct daemon *d)
{
    for (size_t i = 0; i < d->n_names; i++) {
        if (sink_held(d->sink, d->names[i]) != NULL)
            return true;
    }
    return false;
}

// Nothing is held, and nothing that is committed comes again.
static void end_if_over(struct daemon *d, uint64_t acknowledged)
{
    struct app_hold *hold = &d->hold;
    for (size_t i = 0; i < hold->n_passed; i++) {
        if (hold->passed[i].seq > acknowledged)
            return;
    }
    if (!any_held(d))
        hold_deinit(d);
}

void hold_acknowledge(struct daemon *d)
{
    struct app_hold *hold = &d->hold;
    uint64_t seq = hold->acked;
    if (hold->active && seq >= hold->pushed)
        seq = hold->read; // between them there is only what was passed over
    if (hold->first != 0 && seq >= hold->first)
        seq = hold->first - 1;
    spool_ack(d->spool, seq);
    if (hold->active)
        end_if_over(d, seq);
}

void hold_acked(struct daemon *d, uint64_t seq)
{
    d->hold.acked = seq;
    if (d->hold.active)
        note_passed(d);
    hold_acknowledge(d);
}

void hold_rewound(struct daemon *d)
{
    d->hold.acked = d->hold.pushed = d->hold.read = d->hold.first = 0;
}

void hold_deinit(struct daemon *d)
{
    free(d->hold.passed);
    d->hold.passed = NULL;
    d->hold.n_passed = 0;
    d->hold.active = false;
}

// --- what begins and ends it ---

void hold_began(void *owner, const char *stream, const struct sink_hold *told)
{
    struct daemon *d = owner;
    char refused[24], events[24];
    if (!d->hold.active) {
        d->hold.active = true;
        for (size_t i = 0; i < d->n_names; i++)
            passed_of(&d->hold, d->names[i])->seq = d->hold.acked;
    }
    metric_set(metric_series(METRIC_STREAM_HELD, stream, NULL), 1);
    log_event(LOG_ID_STREAM_HELD, &(struct log_fields){.stream = stream},
              "held: %llu of %llu events were refused (%s); its events stay in the spool. Mend "
              "schema or mapping and reload, or run `cxsink resume --stream %s` (--accept: what is "
              "refused becomes dead letters)",
              (unsigned long long)told->refused, (unsigned long long)told->events, told->reason,
              stream);
    snprintf(refused, sizeof(refused), "%llu", (unsigned long long)told->refused);
    snprintf(events, sizeof(events), "%llu", (unsigned long long)told->events);
    struct audit_field fields[] = {
        {"refused", refused}, {"events", events}, {"reason", told->reason}};
    audit_write(d->audit, "stream.held", stream, fields, 3);
}

static void tell_released(struct daemon *d, const char *stream, bool accept, const char *by)
{
    struct audit_field fields[] = {{"by", by}, {"accept", accept ? "true" : "false"}};
    metric_set(metric_series(METRIC_STREAM_HELD, stream, NULL), 0);
    audit_write(d->audit, "stream.resumed", stream, fields, 2);
    log_event(LOG_ID_STREAM_RESUMED, &(struct log_fields){.stream = stream},
              "no longer held (%s)%s", by,
              accept ? "; what is refused becomes dead letters until a whole window is well" : "");
}

unsigned hold_release(struct daemon *d, const char *stream, bool accept, const char *by)
{
    unsigned count = 0;
    for (size_t i = 0; i < d->n_names; i++) {
        const char *name = d->names[i];
        if ((stream != NULL && strcmp(stream, name) != 0) || !sink_release(d->sink, name, accept))
            continue;
        tell_released(d, name, accept, by);
        count++;
    }
    return count;
}

void hold_reloaded(struct daemon *d)
{
    for (size_t i = 0; d->hold.active && i < d->n_names; i++) {
        if (sink_held(d->sink, d->names[i]) != NULL)
            tell_released(d, d->names[i], false, "reload");
    }
}

void hold_relieve(struct daemon *d)
{
    struct spool_stats stats;
    if (!d->hold.active)
        return;
    spool_stat(d->spool, &stats);
    if (stats.no_space || stats.bytes > stats.max_bytes / 100 * RELIEVE_PERCENT)
        hold_release(d, NULL, true, "the spool is nearly full");
}

bool hold_is_all(struct daemon *d)
{
    struct spool_stats stats;
    spool_stat(d->spool, &stats);
    return d->hold.first != 0 && sink_idle(d->sink) && d->hold.read + 1 == stats.next_seq;
}

// --- the control socket ---

static void audit_asked(struct daemon *d, const struct admin_change *change)
{
    char uid[24], gid[24], pid[24];
    snprintf(uid, sizeof(uid), "%ld", change->uid);
    snprintf(gid, sizeof(gid), "%ld", change->gid);
    snprintf(pid, sizeof(pid), "%ld", change->pid);
    struct audit_field fields[] = {
        {"what", change->path}, {"uid", uid}, {"gid", gid}, {"pid", pid}};
    audit_write(d->audit, "control.asked", NULL, fields, 4);
}

static int refuse_change(struct buf *out, int status, const char *why)
{
    buf_printf(out, "{\"error\":\"%s\"}\n", why);
    return status;
}

// POST /api/resume with stream=NAME or all=true, and perhaps accept=true.
int hold_change(void *owner, const struct admin_change *change, struct buf *out)
{
    struct daemon *d = owner;
    const char *stream = admin_change_argument(change, "stream");
    const char *all = admin_change_argument(change, "all");
    const char *accept = admin_change_argument(change, "accept");
    char by[96];
    if (strcmp(change->path, "/api/resume") != 0)
        return refuse_change(out, 404, "nothing of this name can be changed");
    if ((stream == NULL) == (all == NULL))
        return refuse_change(out, 400, "which? stream=NAME or all=true");
    audit_asked(d, change);
    snprintf(by, sizeof(by), "control socket, uid %ld, gid %ld, process %ld", change->uid,
             change->gid, change->pid);
    unsigned count = hold_release(d, stream, accept != NULL && strcmp(accept, "true") == 0, by);
    buf_printf(out, "{\"resumed\":%u}\n", count);
    return 200;
}

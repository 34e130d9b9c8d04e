// SPDX-License-Identifier: Apache-2.0
// An answer of /api/status for people: what is wrong first, then a table of streams, then a line or
// two for each of spool, database, tokens and jobs.
#include "json/lookup.h"
#include "status_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US 1e-6
#define NAME_ROOM 128
#define TEXT_ROOM 2048
#define LABEL 10 // columns of "spool", "database", ...
#define BAR 10
#define SPOOL_WARN 0.5
#define SPOOL_BAD 0.9

bool status_is_ready(const struct tape *tape)
{
    return status_member_flag(tape, 0, "ready");
}

// --- what is wrong ---

static uint32_t element(const struct tape *tape, uint32_t array, uint32_t index)
{
    return array != TAPE_NONE ? tape_element(tape, array, index) : TAPE_NONE;
}

static void show_reasons(const struct status_view *view, struct buf *out)
{
    uint32_t reasons = lookup_member(view->tape, 0, "reasons"), reason;
    for (uint32_t i = 0; (reason = element(view->tape, reasons, i)) != TAPE_NONE; i++) {
        char *text = lookup_text(view->tape, reason);
        status_colour(view, COLOUR_BAD, out);
        buf_append_text(out, "! ");
        status_colour(view, COLOUR_NONE, out);
        status_wrap(view, text != NULL ? text : "", 2, 2, out);
        free(text);
    }
}

static void warn(const struct status_view *view, const char *text, struct buf *out)
{
    status_colour(view, COLOUR_WARN, out);
    buf_append_text(out, "- ");
    status_colour(view, COLOUR_NONE, out);
    status_wrap(view, text, 2, 2, out);
}

// Ready, and yet somebody should know.
static void show_warnings(const struct status_view *view, struct buf *out)
{
    const struct tape *tape = view->tape;
    char text[TEXT_ROOM], name[NAME_ROOM];
    uint32_t streams = lookup_member(tape, 0, "streams"), s;
    for (uint32_t i = 0; (s = element(tape, streams, i)) != TAPE_NONE; i++) {
        if (status_member_number(tape, s, "dropped") == 0)
            continue;
        snprintf(text, sizeof(text), "stream %s: %.0f events dropped, as the spool was full",
                 status_member_text(tape, s, "name", name, sizeof(name)),
                 status_member_number(tape, s, "dropped"));
        warn(view, text, out);
    }
    uint32_t spool = lookup_member(tape, 0, "spool");
    if (status_member_number(tape, spool, "corrupt") > 0) {
        snprintf(text, sizeof(text), "spool: %.0f damaged places were skipped; see the audit log",
                 status_member_number(tape, spool, "corrupt"));
        warn(view, text, out);
    }
}

static void show_head(const struct status_view *view, struct buf *out)
{
    const struct tape *tape = view->tape;
    char text[64], age[16];
    bool ready = status_is_ready(tape);
    double up =
        (double)(status_member_time(tape, 0, "now") - status_member_time(tape, 0, "started_at")) *
        US;
    buf_printf(out, "cxsink %s: ", status_member_text(tape, 0, "version", text, sizeof(text)));
    status_colour(view, ready ? COLOUR_GOOD : COLOUR_BAD, out);
    buf_append_text(out, ready ? "ready" : "NOT READY");
    status_colour(view, COLOUR_NONE, out);
    status_age(up, age, sizeof(age));
    buf_printf(out, ", up %s, process %.0f", age, status_member_number(tape, 0, "pid"));
    status_member_text(tape, 0, "state", text, sizeof(text));
    if (strcmp(text, "stopping") == 0)
        buf_append_text(out, ", stopping");
    buf_append_text(out, "\n");
}

void status_show_ready(const struct status_view *view, struct buf *out)
{
    buf_append_text(out, status_is_ready(view->tape) ? "ready\n" : "not ready\n");
    show_reasons(view, out);
}

// --- streams ---

static uint32_t stream_before(const struct status_view *view, const char *name)
{
    uint32_t streams = lookup_member(view->before, 0, "streams"), s;
    for (uint32_t i = 0; (s = element(view->before, streams, i)) != TAPE_NONE; i++) {
        if (lookup_is(view->before, lookup_member(view->before, s, "name"), name))
            return s;
    }
    return TAPE_NONE;
}

// Events a second since the answer before; "" where that cannot be told.
static void rate_of(const struct status_view *view, uint32_t stream, const char *name, char *text,
                    unsigned size)
{
    text[0] = '\0';
    if (view->before == NULL)
        return;
    uint32_t before = stream_before(view, name);
    double seconds = (double)(status_member_time(view->tape, 0, "now") -
                              status_member_time(view->before, 0, "now")) *
                     US;
    double events = status_member_number(view->tape, stream, "received") -
                    status_member_number(view->before, before, "received");
    if (before != TAPE_NONE && seconds > 0 && events >= 0)
        status_count(events / seconds, text, size);
}

// Until the COMMIT of 99 of 100 events.
static void latency_of(const struct tape *tape, uint32_t stream, char *text, unsigned size)
{
    double ms = status_member_number(tape, stream, "commit_p99_seconds") * 1000;
    if (lookup_member(tape, stream, "commit_p99_seconds") == TAPE_NONE)
        snprintf(text, size, "-");
    else if (ms < 10000)
        snprintf(text, size, "%.0f ms", ms);
    else
        status_age(ms / 1000, text, size);
}

static void last_of(const struct tape *tape, uint32_t stream, char *text, unsigned size)
{
    int64_t at = status_member_time(tape, stream, "last_event_at");
    if (at == 0)
        snprintf(text, size, "none yet");
    else
        status_age((double)(status_member_time(tape, 0, "now") - at) * US, text, size);
}

static enum status_colour colour_of(const struct tape *tape, uint32_t stream)
{
    if (!status_member_flag(tape, stream, "connected"))
        return COLOUR_BAD;
    return lookup_is(tape, lookup_member(tape, stream, "state"), "live") ? COLOUR_GOOD
                                                                         : COLOUR_WARN;
}

static void show_stream(const struct status_view *view, uint32_t s, int columns, struct buf *out)
{
    const struct tape *tape = view->tape;
    static const char *const counts[] = {"received", "committed", "rejected"};
    char name[NAME_ROOM], text[32], state[32];
    status_member_text(tape, s, "name", name, sizeof(name));
    bool cut = strlen(name) > (size_t)columns;
    buf_printf(out, "%-*.*s%s ", columns - cut, columns - cut, name, cut ? "~" : "");
    status_colour(view, colour_of(tape, s), out);
    buf_printf(out, "%-10.10s", status_member_text(tape, s, "state", state, sizeof(state)));
    status_colour(view, COLOUR_NONE, out);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        status_count(status_member_number(tape, s, counts[i]), text, sizeof(text));
        buf_printf(out, " %9s", text);
    }
    if (view->before != NULL) {
        rate_of(view, s, name, text, sizeof(text));
        buf_printf(out, " %7s", text);
    }
    latency_of(tape, s, text, sizeof(text));
    buf_printf(out, " %7s", text);
    last_of(tape, s, text, sizeof(text));
    buf_printf(out, " %9s\n", text);
}

// The longest name, as far as a terminal has room for it beside the figures.
static int name_columns(const struct status_view *view, uint32_t streams)
{
    char name[NAME_ROOM];
    uint32_t s;
    size_t longest = strlen("stream");
    unsigned figures = 1 + 10 + 3 * 10 + 8 + 10 + (view->before != NULL ? 8 : 0);
    for (uint32_t i = 0; (s = element(view->tape, streams, i)) != TAPE_NONE; i++) {
        size_t length = strlen(status_member_text(view->tape, s, "name", name, sizeof(name)));
        longest = length > longest ? length : longest;
    }
    if (view->width > figures + strlen("stream") && longest > view->width - figures)
        longest = view->width - figures;
    return (int)longest;
}

static void show_streams(const struct status_view *view, struct buf *out)
{
    uint32_t streams = lookup_member(view->tape, 0, "streams"), s;
    int columns = name_columns(view, streams);
    if (element(view->tape, streams, 0) == TAPE_NONE)
        return;
    buf_append_text(out, "\n");
    status_colour(view, COLOUR_DIM, out);
    buf_printf(out, "%-*s %-10s %9s %9s %9s%s %7s %9s\n", columns, "stream", "state", "received",
               "committed", "rejected", view->before != NULL ? "   per s" : "", "p99", "last");
    status_colour(view, COLOUR_NONE, out);
    for (uint32_t i = 0; (s = element(view->tape, streams, i)) != TAPE_NONE; i++)
        show_stream(view, s, columns, out);
}

// --- the rest ---

static void label(const char *text, struct buf *out)
{
    buf_printf(out, "%-*s", LABEL, text);
}

static void show_spool(const struct status_view *view, struct buf *out)
{
    const struct tape *tape = view->tape;
    uint32_t spool = lookup_member(tape, 0, "spool");
    double bytes = status_member_number(tape, spool, "bytes");
    double most = status_member_number(tape, spool, "max_bytes");
    double part = most > 0 ? bytes / most : 0;
    char age[16];
    label("spool", out);
    status_colour(view,
                  part >= SPOOL_BAD    ? COLOUR_BAD
                  : part >= SPOOL_WARN ? COLOUR_WARN
                                       : COLOUR_GOOD,
                  out);
    for (int i = 0; i < BAR; i++)
        buf_append_text(out, i + 0.5 < part * BAR ? "#" : ".");
    status_colour(view, COLOUR_NONE, out);
    buf_printf(out, " %.0f events, ", status_member_number(tape, spool, "events"));
    status_bytes(bytes, out);
    buf_append_text(out, " of ");
    status_bytes(most, out);
    if (status_member_number(tape, spool, "events") > 0) {
        status_age(status_member_number(tape, spool, "oldest_seconds"), age, sizeof(age));
        buf_printf(out, ", oldest %s", age);
    }
    buf_append_text(out, "\n");
}

static void show_database(const struct status_view *view, struct buf *out)
{
    const struct tape *tape = view->tape;
    uint32_t database = lookup_member(tape, 0, "database");
    char state[32];
    status_member_text(tape, database, "state", state, sizeof(state));
    bool ready = strcmp(state, "ready") == 0;
    label("database", out);
    status_colour(view, ready ? COLOUR_GOOD : COLOUR_BAD, out);
    buf_append_text(out, state);
    status_colour(view, COLOUR_NONE, out);
    buf_printf(out, ", %.0f of %.0f connections, %.0f events in flight, %.0f retries\n",
               status_member_number(tape, database, "connections_ready"),
               status_member_number(tape, database, "connections"),
               status_member_number(tape, database, "events_in_flight"),
               status_member_number(tape, database, "retries"));
    buf_printf(out, "%*s%.0f inserted, %.0f updated, %.0f unchanged, %.0f dead letters\n", LABEL,
               "", status_member_number(tape, database, "inserted"),
               status_member_number(tape, database, "updated"),
               status_member_number(tape, database, "unchanged"),
               status_member_number(tape, database, "dead_letters"));
}

static void show_token(const struct status_view *view, uint32_t token, struct buf *out)
{
    const struct tape *tape = view->tape;
    char name[NAME_ROOM], state[32], age[16], error[TEXT_ROOM];
    int64_t until = status_member_time(tape, token, "expires_at");
    status_member_text(tape, token, "auth", name, sizeof(name));
    status_member_text(tape, token, "state", state, sizeof(state));
    struct buf line = {0};
    label("token", out);
    buf_printf(&line, "%s %s", name, state);
    if (until > 0) {
        status_age((double)(until - status_member_time(tape, 0, "now")) * US, age, sizeof(age));
        buf_printf(&line, " for %s more", age);
    }
    if (status_member_text(tape, token, "last_error", error, sizeof(error))[0] != '\0')
        buf_printf(&line, "; %s", error);
    status_wrap(view, buf_text(&line), LABEL, LABEL, out);
    buf_deinit(&line);
}

static void show_api(const struct status_view *view, uint32_t api, struct buf *out)
{
    const struct tape *tape = view->tape;
    char name[NAME_ROOM], breaker[32];
    double open = status_member_number(tape, api, "open_for_seconds");
    double held = status_member_number(tape, api, "held_for_seconds");
    struct buf line = {0};
    status_member_text(tape, api, "breaker", breaker, sizeof(breaker));
    status_colour(view, strcmp(breaker, "closed") == 0 ? COLOUR_NONE : COLOUR_WARN, out);
    label("api", out);
    status_colour(view, COLOUR_NONE, out);
    buf_printf(&line, "%s: breaker %s", status_member_text(tape, api, "name", name, sizeof(name)),
               breaker);
    if (open > 0)
        buf_printf(&line, " for %.1f s more", open);
    buf_printf(&line, ", %.0f requests in flight, %.0f waiting",
               status_member_number(tape, api, "in_flight"),
               status_member_number(tape, api, "waiting"));
    if (held > 0)
        buf_printf(&line, ", held back for %.1f s", held);
    status_wrap(view, buf_text(&line), LABEL, LABEL, out);
    buf_deinit(&line);
}

static void show_jobs(const struct status_view *view, struct buf *out)
{
    static const struct {
        const char *name;
        bool always;
    } states[] = {{"queued", true},     {"running", true}, {"polling", false},
                  {"succeeded", false}, {"failed", true},  {"cancelled", false}};
    const struct tape *tape = view->tape;
    uint32_t jobs = lookup_member(tape, 0, "jobs"), api;
    uint32_t counts = lookup_member(tape, jobs, "states"), apis = lookup_member(tape, jobs, "apis");
    char error[TEXT_ROOM];
    struct buf line = {0};
    if (jobs == TAPE_NONE)
        return;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        double n = status_member_number(tape, counts, states[i].name);
        if (n > 0 || states[i].always)
            buf_printf(&line, "%.0f %s, ", n, states[i].name);
    }
    buf_printf(&line, "%.0f leased here", status_member_number(tape, jobs, "active"));
    label("jobs", out);
    status_wrap(view, buf_text(&line), LABEL, LABEL, out);
    buf_deinit(&line);
    if (status_member_text(tape, jobs, "last_error", error, sizeof(error))[0] != '\0') {
        label("", out);
        buf_append_text(out, "the queue cannot be reached: ");
        status_wrap(view, error, LABEL + 29, LABEL, out);
    }
    for (uint32_t i = 0; (api = element(tape, apis, i)) != TAPE_NONE; i++)
        show_api(view, api, out);
}

void status_show(const struct status_view *view, struct buf *out)
{
    uint32_t tokens = lookup_member(view->tape, 0, "tokens"), token;
    show_head(view, out);
    show_reasons(view, out);
    show_warnings(view, out);
    show_streams(view, out);
    buf_append_text(out, "\n");
    show_spool(view, out);
    show_database(view, out);
    for (uint32_t i = 0; (token = element(view->tape, tokens, i)) != TAPE_NONE; i++)
        show_token(view, token, out);
    show_jobs(view, out);
}

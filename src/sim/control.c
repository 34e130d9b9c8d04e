// SPDX-License-Identifier: Apache-2.0
// The control endpoint: POST /sim/... changes what happens, GET /sim/stats tells what did.
#include "sim.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sim_query(struct lws *wsi, const char *name, char *value, unsigned size)
{
    char fragment[1024];
    size_t n = strlen(name);
    for (int i = 0;
         lws_hdr_copy_fragment(wsi, fragment, sizeof(fragment), WSI_TOKEN_HTTP_URI_ARGS, i) >= 0;
         i++) {
        if (strncmp(fragment, name, n) == 0 && fragment[n] == '=') {
            snprintf(value, size, "%s", fragment + n + 1);
            return true;
        }
    }
    return false;
}

static double query_number(struct lws *wsi, const char *name, double otherwise)
{
    char value[64];
    return sim_query(wsi, name, value, sizeof(value)) ? strtod(value, NULL) : otherwise;
}

static void take_fault(struct lws *wsi, struct sim_fault *fault)
{
    char end[16] = "";
    *fault = (struct sim_fault){
        .times = (unsigned)query_number(wsi, "times", 1),
        .status = (int)query_number(wsi, "status", 0),
        .delay = query_number(wsi, "delay", 0),
        .skip = (unsigned)query_number(wsi, "skip", 0),
        .retry_at = query_number(wsi, "retry_at", 0),
    };
    fault->effect = query_number(wsi, "effect", fault->status == 0) != 0;
    sim_query(wsi, "retry_after", fault->retry_after, sizeof(fault->retry_after));
    sim_query(wsi, "body", fault->body, sizeof(fault->body));
    sim_query(wsi, "location", fault->location, sizeof(fault->location));
    sim_query(wsi, "end", end, sizeof(end));
    fault->ending = strcmp(end, "reset") == 0   ? SIM_CUT
                    : strcmp(end, "stall") == 0 ? SIM_STALL
                                                : SIM_WHOLE;
}

static void control_token(struct sim *sim, struct lws *wsi)
{
    take_fault(wsi, &sim->token_fault);
}

static void control_stream(struct sim *sim, struct lws *wsi)
{
    take_fault(wsi, &sim->stream_fault);
}

// Of one operation, or of all.
static void control_rest(struct sim *sim, struct lws *wsi)
{
    char surface[16];
    bool one = sim_query(wsi, "surface", surface, sizeof(surface));
    for (int i = 0; i < SIM_SURFACES; i++) {
        if (!one || strcmp(surface, sim_surface_name((enum sim_surface)i)) == 0)
            take_fault(wsi, &sim->rest.faults[i]);
    }
}

// What the far side of jobs does, which is no fault of its own.
static void control_jobs(struct sim *sim, struct lws *wsi)
{
    struct sim_rest *rest = &sim->rest;
    rest->polls = (unsigned)query_number(wsi, "polls", rest->polls);
    rest->wrong_reads = (unsigned)query_number(wsi, "wrong_reads", rest->wrong_reads);
    sim_query(wsi, "invocation", rest->invocation, sizeof(rest->invocation));
    sim_query(wsi, "publish", rest->publish, sizeof(rest->publish));
}

static void control_revoke(struct sim *sim, struct lws *wsi)
{
    (void)wsi;
    sim->counts.revoked = sim->counts.tokens;
}

static void control_close(struct sim *sim, struct lws *wsi)
{
    char reason[120] = "";
    sim_query(wsi, "reason", reason, sizeof(reason));
    sim_act(sim, SIM_CLOSE, (int)query_number(wsi, "code", 1000), reason);
}

static void control_reset(struct sim *sim, struct lws *wsi)
{
    (void)wsi;
    sim_act(sim, SIM_RESET, 0, "");
}

static void control_silence(struct sim *sim, struct lws *wsi)
{
    (void)wsi;
    sim_act(sim, SIM_SILENCE, 0, "");
}

static void control_speak(struct sim *sim, struct lws *wsi)
{
    (void)wsi;
    sim_act(sim, SIM_SPEAK, 0, "");
}

static void control_garbage(struct sim *sim, struct lws *wsi)
{
    (void)wsi;
    sim_act(sim, SIM_GARBAGE, 0, "");
}

static void control_set(struct sim *sim, struct lws *wsi)
{
    struct sim_settings *s = &sim->settings;
    s->rate = query_number(wsi, "rate", s->rate);
    s->count = (uint64_t)query_number(wsi, "count", (double)s->count);
    s->paused = query_number(wsi, "paused", s->paused) != 0;
    s->expires_in = query_number(wsi, "expires_in", s->expires_in);
    sim->credit = 0;
    sim->credited = loop_now(sim->loop);
    sim_wake(sim);
}

static const struct {
    const char *path;
    void (*fn)(struct sim *sim, struct lws *wsi);
} controls[] = {
    {"/sim/token", control_token},     {"/sim/stream", control_stream},
    {"/sim/close", control_close},     {"/sim/reset", control_reset},
    {"/sim/silence", control_silence}, {"/sim/speak", control_speak},
    {"/sim/garbage", control_garbage}, {"/sim/set", control_set},
    {"/sim/rest", control_rest},       {"/sim/jobs", control_jobs},
    {"/sim/revoke", control_revoke},
};

static void print_surfaces(const uint64_t counts[SIM_SURFACES], struct buf *out)
{
    for (int i = 0; i < SIM_SURFACES; i++)
        buf_printf(out, "%c\"%s\":%llu", i == 0 ? '{' : ',', sim_surface_name((enum sim_surface)i),
                   (unsigned long long)counts[i]);
    buf_append_text(out, "}");
}

static void print_rest(const struct sim_rest *rest, struct buf *out)
{
    buf_append_text(out, "\"rest\":{\"requests\":");
    print_surfaces(rest->requests, out);
    buf_append_text(out, ",\"effects\":");
    print_surfaces(rest->done, out);
    buf_printf(out, ",\"duplicates\":%llu,\"refused\":%llu,\"faults\":%llu}",
               (unsigned long long)rest->duplicates, (unsigned long long)rest->refused,
               (unsigned long long)rest->faulty);
}

static int print_effect(const struct sim *sim, struct lws *wsi, struct buf *out)
{
    char key[256] = "";
    sim_query(wsi, "key", key, sizeof(key));
    const struct sim_effect *effect = sim_rest_effect(&sim->rest, key);
    buf_printf(out, "{\"effects\":%d,\"requests\":%u}\n", effect != NULL,
               effect != NULL ? effect->requests : 0);
    return 200;
}

static int print_stats(const struct sim *sim, struct buf *out)
{
    const struct sim_counts *c = &sim->counts;
    bool done = sim->settings.count != 0 && c->next >= sim->settings.count;
    buf_printf(out,
               "{\"sent\":%llu,\"unique\":%llu,\"duplicates\":%llu,\"older\":%llu,"
               "\"malformed\":%llu,\"resent\":%llu,\"connections\":%llu,\"refused\":%llu,"
               "\"tokens\":%llu,\"clients\":%u,\"done\":%s,",
               (unsigned long long)c->high, (unsigned long long)c->unique,
               (unsigned long long)c->duplicates, (unsigned long long)c->older,
               (unsigned long long)c->malformed, (unsigned long long)c->resent,
               (unsigned long long)c->connections, (unsigned long long)c->refused,
               (unsigned long long)c->tokens, sim_clients(sim), done ? "true" : "false");
    print_rest(&sim->rest, out);
    buf_append_text(out, "}\n");
    return 200;
}

int sim_control(struct sim *sim, struct lws *wsi, const char *path, struct buf *out)
{
    bool post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;
    if (strcmp(path, "/sim/stats") == 0)
        return print_stats(sim, out);
    if (strcmp(path, "/sim/effects") == 0)
        return print_effect(sim, wsi, out);
    for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
        if (strcmp(path, controls[i].path) != 0)
            continue;
        if (!post) {
            buf_append_text(out, "{\"error\":\"POST it\"}\n");
            return 405;
        }
        controls[i].fn(sim, wsi);
        buf_append_text(out, "{\"ok\":true}\n");
        return 200;
    }
    buf_append_text(out, "{\"error\":\"no such control\"}\n");
    return 404;
}

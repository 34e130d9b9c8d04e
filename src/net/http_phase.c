// SPDX-License-Identifier: Apache-2.0
// What a request is doing, and how long it may.
#include "net/http_priv.h"

#include "core/loop.h"

struct limit {
    struct mono end;
    int64_t us;
    const char *exceeded; // to follow the time in a sentence
};

const char *http_phase_doing(enum http_phase phase)
{
    static const char *const doing[] = {
#define HTTP_PHASE_DOING(id, text) [HTTP_##id] = text,
        HTTP_PHASE_TABLE(HTTP_PHASE_DOING)
#undef HTTP_PHASE_DOING
    };
    return doing[phase];
}

static void consider(struct limit *limit, struct mono start, int64_t us, const char *exceeded)
{
    struct mono end = mono_add(start, us);
    if (us > 0 && mono_diff(end, limit->end) < 0)
        *limit = (struct limit){end, us, exceeded};
}

// What ends first of all that runs now. libcurl itself ends CONNECTING: it shares the time out
// between the addresses of a host.
static struct limit first_limit(const struct http_request *request)
{
    struct limit limit = {mono_add(request->started, request->timeout_us), request->timeout_us,
                          "timeout after"};
    if (request->phase == HTTP_RESOLVING)
        consider(&limit, request->began, request->connect_timeout_us, "no connection within");
    if (request->phase == HTTP_AWAITING)
        consider(&limit, request->entered, request->response_timeout_us, "no answer within");
    if (request->phase == HTTP_SENDING || request->phase == HTTP_RECEIVING)
        consider(&limit, request->moved, request->idle_timeout_us, "no byte moved for");
    return limit;
}

static void arm(struct http_request *request, struct mono end)
{
    int64_t left = mono_diff(end, loop_now(request->client->loop));
    timer_start(&request->deadline, left > 0 ? left : 0);
}

void http_enter(struct http_request *request, enum http_phase phase)
{
    request->phase = phase;
    request->entered = request->moved = loop_now(request->client->loop);
    if (phase == HTTP_ENDED || request->fn == NULL)
        timer_stop(&request->deadline);
    else
        arm(request, first_limit(request).end);
}

void http_moved(struct http_request *request)
{
    request->moved = loop_now(request->client->loop); // the timer looks at it when it fires
}

void http_deadline_passed(void *owner)
{
    struct http_request *request = owner;
    struct limit limit = first_limit(request);
    if (mono_diff(limit.end, loop_now(request->client->loop)) > 0) {
        arm(request, limit.end);
        return;
    }
    http_result_fail(request, STATUS_TIMEOUT, "%s %.3g s (%s)", limit.exceeded,
                     (double)limit.us / 1e6, http_phase_doing(request->phase));
    http_finish(request);
}

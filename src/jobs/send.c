// SPDX-License-Identifier: Apache-2.0
// A request of a job: token, gate (breaker, rate), the request itself, and what its answer means
// for all kinds alike. What is left, the kind understands.
#include "auth/token.h"
#include "core/backoff.h"
#include "core/mem.h"
#include "jobs/request.h"
#include "jobs_priv.h"
#include "payload_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A wait up to this is spent with the lease held; a longer one in the queue.
#define HOLD_MAX_US (250 * US_PER_MS)
// While another job's request is the breaker's probe.
#define PROBE_WAIT_US US_PER_S
// While another job asks for the API's token.
#define TOKEN_WAIT_US (2 * US_PER_S)

static void with_token(struct run *run);

// --- the way out ---

void run_stop_sending(struct run *run)
{
    bool under_way = run->request != NULL;
    token_cancel(&run->waiter);
    http_request_cancel(&run->request);
    payload_close(&run->payload);
    mem_wipe_free(&run->bearer);
    if (under_way) {
        breaker_abandon(&run->api->breaker, run->probe);
        api_show(run->api);
    }
    run->probe = false;
}

static bool set_body(struct run *run, struct http_options *options, struct status *st)
{
    if (run->op.payload.type == JOB_PAYLOAD_NONE) {
        options->body = run->op.body.data;
        options->body_length = run->op.body.len;
        return true;
    }
    run->payload = payload_open(&run->op, st);
    if (run->payload == NULL)
        return false;
    options->source = payload_source(run->payload);
    return true;
}

static void gave_up(struct run *run, int status, const char *message)
{
    struct job_answer answer = {.type = JOB_ANSWER_GAVE_UP,
                                .status = status,
                                .body = "",
                                .sent = run->job->sent_before,
                                .message = message};
    run_answer(run, &answer);
}

static void on_response(void *owner, const struct http_response *response);

static void start_request(struct run *run)
{
    const struct config_api *api = api_config(run);
    struct status st = {0};
    struct http_header list[REQUEST_HEADERS_MAX];
    char *authorization = run->bearer != NULL ? mem_printf("Bearer %s", run->bearer) : NULL;
    char *url = mem_printf("%s%s", api->base_url, buf_text(&run->op.path));
    struct http_options options = {
        .method = run->op.method,
        .url = url,
        .pool = run->api->pool,
        .connect_timeout_us = api->connect_timeout_us,
        .timeout_us = run->op.timeout_us > 0 ? run->op.timeout_us : api->timeout_us,
        .redirects = HTTP_REDIRECTS,
        .secret = true,
        .tls = {api->tls.ca_file, api->tls.cert_file, api->tls.key_file}};
    bool ok = set_body(run, &options, &st);
    if (ok) {
        options.headers = list;
        options.n_headers = request_headers(api, run->job, &run->op, authorization, list);
        run->probe = breaker_begin(&run->api->breaker);
        rate_take(&run->api->rate, loop_now(run->jobs->loop).us);
        run->sent = true;
        run_set_state(run, RUN_SENDING);
        http_request_start(run->jobs->http, &options, on_response, run, &run->request);
    }
    mem_wipe_free(&authorization);
    free(url);
    if (!ok) {
        mem_wipe_free(&run->bearer);
        gave_up(run, 0, st.detail);
    }
}

// --- gates ---

void run_send(struct run *run)
{
    int64_t wait = api_wait(run->api, loop_now(run->jobs->loop).us);
    api_show(run->api);
    if (wait == 0) {
        with_token(run);
    } else if (wait > 0 && wait <= HOLD_MAX_US) {
        run_set_state(run, RUN_HELD);
        timer_start(&run->timer, wait);
    } else {
        // Due: whoever may use the API takes it; this daemon asks for none of it until then.
        run_release(run, wait > 0 ? 0 : PROBE_WAIT_US, "its API is held back");
    }
}

static bool others_want_token(const struct run *run)
{
    for (const struct run *r = run->jobs->runs; r != NULL; r = r->next) {
        if (r != run && r->api == run->api && r->state == RUN_TOKEN)
            return true;
    }
    return false;
}

// The token endpoint's troubles are no failures of the job: it waits, however long. One of an API
// asks on; the others wait in the queue, where they are in nobody's way.
static void on_token(void *owner, const char *bearer, const struct status *st)
{
    struct run *run = owner;
    if (bearer == NULL) {
        if (others_want_token(run))
            run_release(run, TOKEN_WAIT_US, st->detail);
        else
            with_token(run);
        return;
    }
    jobs_fill_soon(run->jobs);
    run->bearer = mem_strdup(bearer);
    int64_t wait = api_wait(run->api, loop_now(run->jobs->loop).us);
    if (wait == 0) {
        start_request(run);
    } else {
        mem_wipe_free(&run->bearer);
        run_send(run);
    }
}

static void with_token(struct run *run)
{
    const struct config *config = run->config->config;
    size_t auth = api_config(run)->auth;
    if (auth == CONFIG_NONE) {
        start_request(run);
        return;
    }
    struct token *token = run->jobs->callbacks.token(run->jobs->owner, config->auth[auth].name);
    if (token == NULL) {
        run_release(run, 0, "a reload took its credential away");
        return;
    }
    run_set_state(run, RUN_TOKEN);
    token_get(token, on_token, run, &run->waiter);
}

// --- answers ---

static int64_t now_wall(const struct run *run)
{
    return loop_wall_us(run->jobs->loop);
}

static bool too_old(const struct run *run)
{
    const struct job *job = run->job;
    const char *undo_step = run->kind->undo_step;
    if (undo_step != NULL && strcmp(job->step, undo_step) == 0)
        return false;
    int64_t since = job->first_run_us > job->created_us ? job->first_run_us : job->created_us;
    return now_wall(run) - since > run->action->give_up_after_us;
}

static bool failures_left(const struct run *run, unsigned of_kind)
{
    unsigned max = run->action->retry_max;
    return run->job->failures < (max != CONFIG_RETRY_DEFAULT ? max : of_kind);
}

// 2^n s and 0 to 500 ms.
static int64_t exponential(const struct run *run)
{
    unsigned n = run->job->failures < 8 ? run->job->failures : 8;
    int64_t jitter = (int64_t)(backoff_random() % (500 * US_PER_MS));
    return (US_PER_S << n) + jitter;
}

// A failure that passes. While the breaker is not closed it is the API's and not the job's.
static void retry_later(struct run *run, const struct http_response *response, const char *message)
{
    const struct breaker *breaker = &run->api->breaker;
    bool is_outage = breaker->state != BREAKER_CLOSED;
    int status = response != NULL ? response->status : 0;
    if (too_old(run) || (!is_outage && !failures_left(run, run->kind->max_failures))) {
        gave_up(run, status, message);
        return;
    }
    int64_t delay = exponential(run);
    if (response != NULL && response->retry_after_us > delay)
        delay = response->retry_after_us;
    if (is_outage) // behind the others, so that another job is the next probe
        delay = breaker->reset_us +
                (int64_t)(backoff_random() % (uint64_t)(US_PER_S + breaker->reset_us / 2));
    else
        run->job->failures++;
    run_release(run, delay, message);
}

void run_retry(struct run *run, const char *message)
{
    retry_later(run, NULL, message);
}

static void on_429(struct run *run, const struct http_response *response)
{
    int64_t wait = response->retry_after_us;
    if (wait < 0)
        wait = exponential(run);
    api_hold(run->api, wait);
    if (too_old(run) || !failures_left(run, run->kind->max_429)) {
        gave_up(run, response->status, "429: too many requests");
        return;
    }
    run->job->failures++;
    run_release(run, wait, "429: too many requests");
}

static void on_401(struct run *run, const char *bearer)
{
    size_t auth = api_config(run)->auth;
    struct token *token = NULL;
    if (auth != CONFIG_NONE && bearer != NULL)
        token = run->jobs->callbacks.token(run->jobs->owner, run->config->config->auth[auth].name);
    if (token != NULL)
        token_invalidate(token, bearer);
    if (token == NULL || run->reauthorized) {
        gave_up(run, 401, "401: the API refuses the token");
        return;
    }
    run->reauthorized = true;
    run_send(run);
}

static void understood_by_kind(struct run *run, const struct http_response *response)
{
    struct tape tape;
    tape_init(&tape, 0);
    bool json =
        response->body_length > 0 && tape_parse(&tape, response->body, response->body_length);
    struct job_answer answer = {.type = JOB_ANSWER_HTTP,
                                .status = response->status,
                                .body = response->body,
                                .body_length = response->body_length,
                                .json = json ? &tape : NULL,
                                .sent = true,
                                .message = "",
                                .elapsed_us = response->elapsed_us};
    run_answer(run, &answer);
    tape_deinit(&tape);
}

// The network, the server, or the connection's security; what the far side may mend.
static bool is_outage(const struct http_response *response)
{
    switch (response->code) {
    case STATUS_OK:
        return response->status >= 500;
    case STATUS_UNAVAILABLE:
    case STATUS_TIMEOUT:
    case STATUS_DENIED:
        return response->status < 300 || response->status >= 400; // else a redirect
    default:
        return false;
    }
}

static void on_response(void *owner, const struct http_response *response)
{
    struct run *run = owner;
    bool outage = is_outage(response);
    bool probe = run->probe;
    char *bearer = run->bearer;
    char text[32];
    const char *error = response->code == STATUS_OK ? NULL : response->detail;
    snprintf(text, sizeof(text), "HTTP %d", response->status);
    run->status = response->status;
    run->bearer = NULL;
    run->probe = false;
    payload_close(&run->payload);
    run_record(run, response);
    api_answered(run->api, probe, outage, error != NULL ? error : text);
    if (outage)
        retry_later(run, response, error != NULL ? error : text);
    else if (response->code != STATUS_OK)
        gave_up(run, response->status, error);
    else if (response->status == 401)
        on_401(run, bearer);
    else if (response->status == 429)
        on_429(run, response);
    else
        understood_by_kind(run, response);
    mem_wipe_free(&bearer);
}

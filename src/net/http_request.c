// SPDX-License-Identifier: Apache-2.0
// The life of a request.
#include "net/http.h"

#include "core/loop.h"
#include "core/mem.h"
#include "net/http_priv.h"
#include "net/resolve.h"

#include <stdlib.h>
#include <string.h>

// --- the end ---

static void unlink_request(struct http_request *request)
{
    if (request->previous != NULL)
        request->previous->next = request->next;
    else
        request->client->requests = request->next;
    if (request->next != NULL)
        request->next->previous = request->previous;
    if (request->handle != NULL)
        *request->handle = NULL;
}

static void leave_libcurl(struct http_request *request)
{
    if (request->running)
        curl_multi_remove_handle(request->client->multi, request->easy);
    request->running = false;
    http_body_unpause(request);
}

// Takes the transfer back, from wherever it stands.
static void stop_transfer(struct http_request *request)
{
    resolver_cancel(&request->resolving);
    leave_libcurl(request);
    http_pool_leave(request);
    http_enter(request, HTTP_ENDED);
}

static void free_request(struct http_request *request)
{
    http_setup_free(request);
    free(request);
}

static void deliver(void *owner)
{
    struct http_request *request = owner;
    unlink_request(request);
    request->response.body = buf_text(&request->content);
    request->response.body_length = request->content.len;
    curl_global_init(CURL_GLOBAL_DEFAULT); // counted: `fn` may destroy the client
    request->client->delivering = request;
    request->fn(request->owner, &request->response);
    if (request->client != NULL)
        request->client->delivering = NULL;
    free_request(request); // out of the list and without a handle, so nobody else did
    curl_global_cleanup();
}

void http_finish(struct http_request *request)
{
    struct http_client *client = request->client;
    struct http_response *response = &request->response;
    bool answered = response->code == STATUS_OK;
    if (!answered)
        buf_clear(&request->content); // half a body is no answer
    http_pool_count(request, answered ? response->status : 0, status_code_name(response->code));
    stop_transfer(request);
    request->content.max = 0; // room for the NUL of an answer as large as it may be
    response->elapsed_us = mono_diff(mono_read(), request->started);
    loop_post(client->loop, deliver, request);
}

static void fail(struct http_request *request, enum status_code code, const char *detail)
{
    http_result_fail(request, code, "%s", detail);
    http_finish(request);
}

// --- the way through libcurl ---

static void run(struct http_request *request)
{
    struct http_client *client = request->client;
    int64_t spent = mono_diff(loop_now(client->loop), request->began);
    int64_t left_ms = (request->connect_timeout_us - spent + US_PER_MS - 1) / US_PER_MS;
    curl_easy_setopt(request->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    http_enter(request, HTTP_CONNECTING);
    CURLMcode code = curl_multi_add_handle(client->multi, request->easy);
    request->running = code == CURLM_OK;
    if (code != CURLM_OK)
        fail(request, STATUS_INTERNAL, curl_multi_strerror(code));
}

void http_done(struct http_request *request, CURLcode result)
{
    if (request->fn == NULL)
        return; // cancelled; reap() is posted
    http_result_fill(request, result, loop_wall_us(request->client->loop));
    leave_libcurl(request);
    if (!http_again(request, result)) {
        http_finish(request);
        return;
    }
    http_pool_count(request, request->response.status, status_code_name(STATUS_UNAVAILABLE));
    request->began = loop_now(request->client->loop);
    run(request);
}

static void resolved(void *owner, const struct resolve_result *result)
{
    struct http_request *request = owner;
    if (result->code != STATUS_OK) {
        fail(request, STATUS_UNAVAILABLE, result->detail);
        return;
    }
    http_setup_addresses(request, result);
    run(request);
}

void http_begin(void *owner)
{
    struct http_request *request = owner;
    struct http_client *client = request->client;
    request->began = loop_now(client->loop);
    request->response.waited_us = mono_diff(request->began, request->started);
    // A machine behind a proxy often cannot resolve the names of the world; an IPv6 address is no
    // name.
    if (request->proxied || strchr(request->target.host, ':') != NULL) {
        run(request);
        return;
    }
    http_enter(request, HTTP_RESOLVING);
    resolver_start(client->resolver, request->target.host, resolved, request, &request->resolving);
}

// --- the caller's side ---

void http_request_start(struct http_client *client, const struct http_options *options, http_fn fn,
                        void *owner, struct http_request **request_r)
{
    struct http_request *request = mem_zalloc(sizeof(*request));
    *request = (struct http_request){
        .client = client, .fn = fn, .owner = owner, .handle = request_r, .next = client->requests};
    request->response.retry_after_us = -1;
    request->response.request = request;
    request->started = loop_now(client->loop);
    timer_init(&request->deadline, client->loop, "http deadline", http_deadline_passed, request);
    if (request->next != NULL)
        request->next->previous = request;
    client->requests = request;
    if (request_r != NULL)
        *request_r = request;
    struct status st = {0};
    if (http_setup(request, options, &st) == STATUS_OK)
        http_pool_enter(request);
    else
        fail(request, st.code, st.detail);
}

static void reap(void *owner)
{
    struct http_request *request = owner;
    if (request->response.sent && request->phase != HTTP_ENDED)
        http_pool_count(request, 0, "cancelled");
    stop_transfer(request);
    loop_unpost(request->client->loop, request);
    unlink_request(request);
    free_request(request);
}

void http_request_cancel(struct http_request **pointer)
{
    struct http_request *request = *pointer;
    if (request == NULL)
        return;
    *pointer = NULL;
    bool by_libcurl = request->client->inside > 0 && request->running;
    if (!by_libcurl && !request->in_source) {
        reap(request);
        return;
    }
    if (request->handle != NULL)
        *request->handle = NULL;
    request->handle = NULL; // it may be gone by then
    request->fn = NULL;
    timer_stop(&request->deadline);
    loop_unpost(request->client->loop, request);
    loop_post(request->client->loop, reap, request);
}

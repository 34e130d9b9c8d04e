// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "core/loop.h"
#include "core/mem.h"
#include "net/http_priv.h"
#include "net/resolve.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_KEPT 16L

// Structure: a struct http_client owns the CURLM, one timer (libcurl's), a struct http_socket for
// every socket libcurl watches, and the requests. A request is resolving, then running in libcurl,
// then answered: its callback is posted, so that no user's code ever runs inside libcurl.

struct http_socket {
    struct http_client *client;
    struct http_socket *previous, *next;
    curl_socket_t fd;
    struct loop_watch *watch; // NULL when out of descriptors: the request's deadline ends it
};

struct http_client {
    struct loop *loop;
    struct resolver *resolver;
    CURLM *multi;
    struct timer timer;
    struct http_socket *sockets;
    struct http_request *requests;
};

// --- answers ---

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

// Takes the transfer out of libcurl, from wherever it stands.
static void stop_transfer(struct http_request *request)
{
    timer_stop(&request->deadline);
    resolver_cancel(&request->resolving);
    if (request->phase == HTTP_RUNNING)
        curl_multi_remove_handle(request->client->multi, request->easy);
    if (request->easy != NULL)
        curl_easy_cleanup(request->easy);
    request->easy = NULL;
    request->phase = HTTP_ANSWERED;
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
    request->fn(request->owner, &request->response);
    free_request(request); // out of the list and without a handle, so nobody else did
}

// The one exit of a request that is not cancelled; request->response is filled but for its body.
static void finish(struct http_request *request)
{
    struct loop *loop = request->client->loop;
    if (request->response.code != STATUS_OK)
        buf_clear(&request->content); // half a body is no answer
    stop_transfer(request);
    request->content.max = 0; // room for the NUL of an answer as large as it may be
    request->response.elapsed_us = mono_diff(mono_read(), request->started);
    loop_post(loop, deliver, request);
}

static void fail(struct http_request *request, enum status_code code, const char *detail)
{
    struct status st;
    status_set(&st, code, "%s%s%s", request->origin, request->origin[0] != '\0' ? ": " : "",
               detail);
    request->response.code = code;
    memcpy(request->response.detail, st.detail, sizeof(st.detail));
    finish(request);
}

// --- libcurl's side ---

static void finish_done(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; // the message ends with the handle's removal
        struct http_request *request = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        http_result_fill(request, result, loop_wall_us(client->loop));
        finish(request);
    }
}

static void socket_ready(void *owner, unsigned events)
{
    struct http_socket *socket = owner;
    struct http_client *client = socket->client;
    int mask =
        (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(client->multi, socket->fd, mask, &running);
    finish_done(client);
}

static void timer_fired(void *owner)
{
    struct http_client *client = owner;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_done(client);
}

static int set_timer(CURLM *multi, long timeout_ms, void *owner)
{
    (void)multi;
    struct http_client *client = owner;
    if (timeout_ms < 0)
        timer_stop(&client->timer);
    else
        timer_start(&client->timer, timeout_ms * US_PER_MS);
    return 0;
}

static void forget_socket(struct http_client *client, struct http_socket *socket)
{
    loop_unwatch(&socket->watch);
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        client->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    // socket_ready() may be below us on the stack.
    loop_defer_free(client->loop, socket, NULL);
}

static struct http_socket *add_socket(struct http_client *client, curl_socket_t fd)
{
    struct http_socket *socket = mem_zalloc(sizeof(*socket));
    *socket = (struct http_socket){.client = client, .fd = fd, .next = client->sockets};
    if (socket->next != NULL)
        socket->next->previous = socket;
    client->sockets = socket;
    socket->watch = loop_watch(client->loop, fd, 0, socket_ready, socket, NULL);
    curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *socket_data)
{
    (void)easy;
    struct http_client *client = owner;
    struct http_socket *socket = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            forget_socket(client, socket);
        return 0;
    }
    if (socket == NULL)
        socket = add_socket(client, fd);
    unsigned events =
        (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (socket->watch != NULL)
        loop_watch_update(socket->watch, fd, events);
    return 0;
}

// --- requests ---

static void deadline_passed(void *owner)
{
    struct http_request *request = owner;
    http_result_timeout(request);
    finish(request);
}

static void run(struct http_request *request)
{
    struct http_client *client = request->client;
    int64_t spent = mono_diff(loop_now(client->loop), request->started);
    timer_start(&request->deadline, request->timeout_us - spent);
    CURLMcode code = curl_multi_add_handle(client->multi, request->easy);
    if (code == CURLM_OK)
        request->phase = HTTP_RUNNING;
    else
        fail(request, STATUS_INTERNAL, curl_multi_strerror(code));
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

// A machine behind a proxy often cannot resolve the names of the world.
static bool proxy_in_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return true;
    }
    return false;
}

static void resolve(struct http_request *request)
{
    if (proxy_in_environment() || strchr(request->host, ':') != NULL) {
        run(request); // a proxy's matter, or an IPv6 address
        return;
    }
    int64_t limit = request->connect_timeout_us < request->timeout_us ? request->connect_timeout_us
                                                                      : request->timeout_us;
    timer_start(&request->deadline, limit);
    resolver_start(request->client->resolver, request->host, resolved, request,
                   &request->resolving);
}

void http_request_start(struct http_client *client, const struct http_options *options, http_fn fn,
                        void *owner, struct http_request **request_r)
{
    struct http_request *request = mem_zalloc(sizeof(*request));
    *request = (struct http_request){
        .client = client, .fn = fn, .owner = owner, .handle = request_r, .next = client->requests};
    request->response.retry_after_us = -1;
    request->started = loop_now(client->loop);
    timer_init(&request->deadline, client->loop, "http deadline", deadline_passed, request);
    if (request->next != NULL)
        request->next->previous = request;
    client->requests = request;
    if (request_r != NULL)
        *request_r = request;
    struct status st = {0};
    if (http_setup(request, options, &st) == STATUS_OK)
        resolve(request);
    else
        fail(request, st.code, st.detail);
}

void http_request_cancel(struct http_request **request_r)
{
    struct http_request *request = *request_r;
    if (request == NULL)
        return;
    *request_r = NULL;
    stop_transfer(request);
    loop_unpost(request->client->loop, request);
    unlink_request(request);
    free_request(request);
}

// --- life ---

static bool set_up_multi(struct http_client *client)
{
    client->multi = curl_multi_init();
    return client->multi != NULL &&
           curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
           curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT) == CURLM_OK;
}

struct http_client *http_client_create(struct loop *loop, struct resolver *resolver,
                                       struct status *st)
{
    struct http_client *client = mem_zalloc(sizeof(*client));
    client->loop = loop;
    client->resolver = resolver;
    timer_init(&client->timer, loop, "libcurl", timer_fired, client);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && set_up_multi(client))
        return client;
    http_client_destroy(&client);
    status_set(st, STATUS_INTERNAL, "libcurl cannot be initialised");
    return NULL;
}

void http_client_destroy(struct http_client **pointer)
{
    struct http_client *client = *pointer;
    if (client == NULL)
        return;
    *pointer = NULL;
    while (client->requests != NULL) {
        struct http_request *request = client->requests;
        http_request_cancel(&request);
    }
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi); // may still speak of sockets and timers
    while (client->sockets != NULL)
        forget_socket(client, client->sockets);
    timer_stop(&client->timer);
    curl_global_cleanup();
    free(client);
}

// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "core/loop.h"
#include "core/mem.h"
#include "net/http_priv.h"

#include <stdlib.h>

struct http_socket {
    struct http_client *client;
    struct http_socket *previous, *next;
    curl_socket_t fd;
    struct loop_watch *watch; // NULL when out of descriptors: the request's deadline ends it
};

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
        http_done(request, result);
    }
}

// Sources that were paused so that libcurl reads first: it does now, in its next turn.
static void resume(struct http_client *client)
{
    for (struct http_request *request = client->requests; request != NULL && client->paused > 0;
         request = request->next)
        http_body_resume(request);
}

static void act(struct http_client *client, curl_socket_t fd, int mask)
{
    int running;
    curl_multi_socket_action(client->multi, fd, mask, &running);
    resume(client);
    finish_done(client);
}

static void socket_ready(void *owner, unsigned events)
{
    struct http_socket *socket = owner;
    int mask =
        (events & LOOP_READ ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
    act(socket->client, socket->fd, mask);
}

static void timer_fired(void *owner)
{
    act(owner, CURL_SOCKET_TIMEOUT, 0);
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

// A transfer waits for both only when it is connected and sends a body.
static void note_sender(CURL *easy, curl_socket_t fd)
{
    struct http_request *request = NULL; // none for libcurl's own handles
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&request) == CURLE_OK && request != NULL)
        request->sender = fd;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *socket_data)
{
    struct http_client *client = owner;
    struct http_socket *socket = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            forget_socket(client, socket);
        return 0;
    }
    if (what == CURL_POLL_INOUT)
        note_sender(easy, fd);
    if (socket == NULL)
        socket = add_socket(client, fd);
    unsigned events =
        (what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u);
    if (socket->watch != NULL)
        loop_watch_update(socket->watch, fd, events);
    return 0;
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
           curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_KEPT) ==
               CURLM_OK;
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

void http_client_cancel(struct http_client *client, const struct http_pool *pool)
{
    struct http_request *next;
    for (struct http_request *request = client->requests; request != NULL; request = next) {
        next = request->next;
        if (pool == NULL || request->pool == pool)
            http_request_cancel(&request);
    }
}

void http_client_destroy(struct http_client **pointer)
{
    struct http_client *client = *pointer;
    if (client == NULL)
        return;
    *pointer = NULL;
    http_client_cancel(client, NULL);
    while (client->pools != NULL) {
        struct http_pool *pool = client->pools;
        http_pool_destroy(&pool);
    }
    if (client->delivering != NULL)
        client->delivering->client = NULL;
    http_setup_free_spare(client);
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi); // may still speak of sockets and timers
    while (client->sockets != NULL)
        forget_socket(client, client->sockets);
    timer_stop(&client->timer);
    curl_global_cleanup();
    free(client);
}

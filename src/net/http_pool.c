// SPDX-License-Identifier: Apache-2.0
#include "net/http.h"

#include "core/counter.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/http_priv.h"

#include <stdio.h>
#include <stdlib.h>

struct http_pool {
    struct http_client *client;
    struct http_pool *previous, *next;
    char *api;
    size_t max, active, waiting;
    bool posted;                       // fill_slots() is about to run
    struct http_request *first, *last; // those that wait
};

static void dequeue(struct http_pool *pool, struct http_request *request)
{
    if (request->queue_previous != NULL)
        request->queue_previous->queue_next = request->queue_next;
    else
        pool->first = request->queue_next;
    if (request->queue_next != NULL)
        request->queue_next->queue_previous = request->queue_previous;
    else
        pool->last = request->queue_previous;
    request->queued = false;
    pool->waiting--;
}

static void enqueue(struct http_pool *pool, struct http_request *request)
{
    request->queued = true;
    request->queue_previous = pool->last;
    request->queue_next = NULL;
    if (pool->last != NULL)
        pool->last->queue_next = request;
    else
        pool->first = request;
    pool->last = request;
    pool->waiting++;
}

static bool can_start(const struct http_pool *pool)
{
    return pool->first != NULL && pool->active < pool->max;
}

static void fill_slots(void *owner)
{
    struct http_pool *pool = owner;
    pool->posted = false;
    while (can_start(pool)) {
        struct http_request *request = pool->first;
        dequeue(pool, request);
        request->has_slot = true;
        pool->active++;
        http_begin(request);
    }
}

// Not at once: slots come free anywhere, within libcurl too.
static void post_fill(struct http_pool *pool)
{
    if (!pool->posted && can_start(pool))
        loop_post(pool->client->loop, fill_slots, pool);
    pool->posted = pool->posted || can_start(pool);
}

void http_pool_enter(struct http_request *request)
{
    http_enter(request, HTTP_WAITING);
    if (request->pool == NULL) {
        loop_post(request->client->loop, http_begin, request);
        return;
    }
    enqueue(request->pool, request);
    post_fill(request->pool);
}

void http_pool_leave(struct http_request *request)
{
    struct http_pool *pool = request->pool;
    if (request->queued)
        dequeue(pool, request);
    if (!request->has_slot)
        return;
    request->has_slot = false;
    pool->active--;
    post_fill(pool);
}

void http_pool_count(const struct http_request *request, int status, const char *code)
{
    char number[16];
    if (request->pool == NULL)
        return;
    snprintf(number, sizeof(number), "%d", status);
    metric_add(metric_series(METRIC_HTTP_REQUESTS, request->pool->api, status > 0 ? number : code),
               1);
}

// --- life ---

// Room for an idle connection of every slot, or libcurl would close kept ones to bound their
// number.
static void set_kept(struct http_client *client)
{
    size_t sum = HTTP_CONNECTIONS_KEPT;
    for (const struct http_pool *pool = client->pools; pool != NULL; pool = pool->next)
        sum += pool->max;
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)sum);
}

struct http_pool *http_pool_create(struct http_client *client, const char *api,
                                   unsigned max_connections)
{
    struct http_pool *pool = mem_zalloc(sizeof(*pool));
    pool->client = client;
    pool->api = mem_strdup(api);
    pool->next = client->pools;
    if (pool->next != NULL)
        pool->next->previous = pool;
    client->pools = pool;
    http_pool_resize(pool, max_connections);
    return pool;
}

void http_pool_destroy(struct http_pool **pointer)
{
    struct http_pool *pool = *pointer;
    if (pool == NULL)
        return;
    *pointer = NULL;
    struct http_client *client = pool->client;
    http_client_cancel(client, pool);
    loop_unpost(client->loop, pool);
    if (pool->previous != NULL)
        pool->previous->next = pool->next;
    else
        client->pools = pool->next;
    if (pool->next != NULL)
        pool->next->previous = pool->previous;
    set_kept(client);
    free(pool->api);
    free(pool);
}

void http_pool_resize(struct http_pool *pool, unsigned max_connections)
{
    pool->max = max_connections > 0 ? max_connections : 1;
    set_kept(pool->client);
    post_fill(pool);
}

size_t http_pool_waiting(const struct http_pool *pool)
{
    return pool->waiting;
}

size_t http_pool_active(const struct http_pool *pool)
{
    return pool->active;
}

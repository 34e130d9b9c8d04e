// SPDX-License-Identifier: Apache-2.0
// Delivers the notifications of finished jobs from the queue's outbox: signed, to public https
// addresses alone unless the action allows others, again and again with growing pauses. A job never
// waits for its notification.
#include "core/backoff.h"
#include "core/hash.h"
#include "core/mem.h"
#include "jobs_priv.h"
#include "core/log_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US (5 * US_PER_S)
#define AT_ONCE 8
#define TIMEOUT_US (5 * US_PER_S)
#define ATTEMPTS_MAX 10 // over about an hour
#define RETRY_BASE_US (5 * US_PER_S)
#define RETRY_CAP_US (15 * 60 * US_PER_S)

struct delivery {
    struct notifier *notifier;
    struct delivery *next;
    struct http_request *request;
    int64_t id;
    unsigned attempt;
    char *job_id, *action;
};

struct notifier {
    struct jobs *jobs;
    struct timer timer;
    struct delivery *deliveries;
    unsigned n_deliveries;
    bool asking, again;
};

static void look(void *owner);

// --- one delivery ---

static void drop_delivery(struct delivery *d)
{
    struct delivery **at = &d->notifier->deliveries;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->notifier->n_deliveries--;
    http_request_cancel(&d->request);
    free(d->job_id);
    free(d->action);
    free(d);
}

static void tell(const struct delivery *d, const char *event, const char *detail)
{
    struct jobs *jobs = d->notifier->jobs;
    struct jobs_audit_field fields[] = {
        {"job", d->job_id}, {"action", d->action}, {"detail", detail}};
    jobs->callbacks.audit(jobs->owner, event, fields, 3);
}

static void give_up(struct delivery *d, const char *why)
{
    struct log_fields fields = {.job = d->job_id};
    log_event(LOG_ID_NOTIFICATION_FAILED, &fields, "job %s (%s): its notification is given up: %s",
              d->job_id, d->action, why);
    tell(d, "notification.failed", why);
    queue_outbox_done(d->notifier->jobs->queue, d->id, -1, why);
    drop_delivery(d);
}

static void failed(struct delivery *d, const char *why)
{
    unsigned n = d->attempt < 20 ? d->attempt : 20;
    int64_t delay = RETRY_BASE_US << n < RETRY_CAP_US ? RETRY_BASE_US << n : RETRY_CAP_US;
    struct log_fields fields = {.job = d->job_id};
    if (d->attempt + 1 >= ATTEMPTS_MAX) {
        give_up(d, why);
        return;
    }
    delay += (int64_t)(backoff_random() % (uint64_t)US_PER_S);
    log_info(&fields, "job %s (%s): notification: %s; again in %.0f s", d->job_id, d->action, why,
             (double)delay / 1e6);
    queue_outbox_done(d->notifier->jobs->queue, d->id, delay, why);
    drop_delivery(d);
}

static void on_response(void *owner, const struct http_response *response)
{
    struct delivery *d = owner;
    struct notifier *n = d->notifier;
    char text[64];
    snprintf(text, sizeof(text), "HTTP %d", response->status);
    if (response->code == STATUS_DENIED || response->code == STATUS_INVALID) {
        give_up(d, response->detail); // a private address, a certificate: a person has to act
    } else if (response->code != STATUS_OK) {
        failed(d, response->detail);
    } else if (response->status < 200 || response->status > 299) {
        failed(d, text);
    } else {
        tell(d, "notification.delivered", NULL);
        queue_outbox_done(n->jobs->queue, d->id, -1, NULL);
        drop_delivery(d);
    }
    look(n);
}

// sha256=HMAC(secret, timestamp "." body)
static char *signature(const char *secret, const char *timestamp, const char *body)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE];
    char *text = mem_printf("%s.%s", timestamp, body);
    hash_hmac_sha256(secret, strlen(secret), text, strlen(text), digest);
    hash_hex(digest, sizeof(digest), hex);
    free(text);
    return mem_printf("sha256=%s", hex);
}

// The same for every attempt, so that the receiver can tell a repetition.
static void delivery_id(const struct delivery *d, char text[UUID_TEXT_SIZE])
{
    char *name = mem_printf("%s/%" PRIi64, d->job_id, d->id);
    struct uuid id = uuid_from_data(name, strlen(name));
    uuid_format(&id, text);
    free(name);
}

static void post(struct delivery *d, const struct config_action *action, const char *url,
                 const char *body)
{
    struct jobs *jobs = d->notifier->jobs;
    char timestamp[24], id[UUID_TEXT_SIZE];
    char *sign = NULL;
    snprintf(timestamp, sizeof(timestamp), "%" PRIi64, loop_wall_us(jobs->loop) / US_PER_S);
    delivery_id(d, id);
    if (action->notify_secret != NULL)
        sign = signature(action->notify_secret, timestamp, body);
    const struct http_header headers[] = {{"Content-Type", "application/json"},
                                          {"X-Cxsink-Timestamp", timestamp},
                                          {"X-Cxsink-Delivery", id},
                                          {"X-Cxsink-Signature", sign}};
    struct http_options options = {.method = "POST",
                                   .url = url,
                                   .headers = headers,
                                   .n_headers = sign != NULL ? 4 : 3,
                                   .body = body,
                                   .body_length = strlen(body),
                                   .timeout_us = TIMEOUT_US,
                                   .https_only = !action->allow_private,
                                   .public_only = !action->allow_private};
    http_request_start(jobs->http, &options, on_response, d, &d->request);
    free(sign);
}

static void deliver(struct notifier *n, const struct queue_notification *item)
{
    const struct config_action *action = jobs_find_action(n->jobs, item->action);
    const char *url = action == NULL                ? NULL
                      : action->webhook_url != NULL ? action->webhook_url
                                                    : action->notify_url;
    struct delivery *d = mem_zalloc(sizeof(*d));
    *d = (struct delivery){.notifier = n,
                           .next = n->deliveries,
                           .id = item->id,
                           .attempt = item->attempt,
                           .job_id = mem_strdup(item->job_id),
                           .action = mem_strdup(item->action)};
    n->deliveries = d;
    n->n_deliveries++;
    if (url == NULL)
        give_up(d, "the configuration has no address for it any more");
    else
        post(d, action, url, item->body);
}

// --- the outbox ---

static void on_outbox(void *owner, const struct queue_notification *items, size_t count)
{
    struct notifier *n = owner;
    bool again = n->again || count == AT_ONCE;
    n->asking = n->again = false;
    for (size_t i = 0; i < count; i++)
        deliver(n, &items[i]);
    if (again)
        look(n);
}

static bool has_addresses(const struct config_jobs *config)
{
    for (size_t i = 0; i < config->n_actions; i++) {
        if (config->actions[i].notify_url != NULL || config->actions[i].webhook_url != NULL)
            return true;
    }
    return false;
}

static void look(void *owner)
{
    struct notifier *n = owner;
    if (n->jobs->stopping || !has_addresses(&n->jobs->config->config->jobs))
        return;
    n->again |= n->asking;
    if (n->asking || n->n_deliveries >= AT_ONCE)
        return;
    n->asking = true;
    queue_outbox(n->jobs->queue, AT_ONCE - n->n_deliveries, on_outbox, n);
}

void notifier_wake(struct notifier *n)
{
    look(n);
}

struct notifier *notifier_create(struct jobs *jobs)
{
    struct notifier *n = mem_zalloc(sizeof(*n));
    n->jobs = jobs;
    timer_init(&n->timer, jobs->loop, "notifications", look, n);
    timer_start_periodic(&n->timer, LOOK_US);
    return n;
}

void notifier_destroy(struct notifier **pointer)
{
    struct notifier *n = *pointer;
    if (n == NULL)
        return;
    *pointer = NULL;
    timer_stop(&n->timer);
    queue_forget(n->jobs->queue, n);
    while (n->deliveries != NULL)
        drop_delivery(n->deliveries);
    free(n);
}

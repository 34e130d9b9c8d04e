// SPDX-License-Identifier: Apache-2.0
// The jobs of a daemon: queue, runner, drop directory, notifications, as one object.
//
// Structure: a struct jobs owns the queue (jobs/queue), a struct api for each configured API (its
// pool of connections, breaker, rate limit, token waiters), a struct run for each leased job, the
// drop directory's watch (jobs/drop), and the notifier (jobs/notify). Data flows: sources
// (configuration, drop directory, commands, SQL) -> queue -> runner, which steps the kind's machine
// (jobs/kind) -> net/http -> far side, and back: answer -> kind -> queue.
#ifndef CXSINK_JOBS_JOBS_H
#define CXSINK_JOBS_JOBS_H

#include "core/log.h"
#include "core/status.h"
#include "jobs/breaker.h"
#include "jobs/queue.h"

struct config_ref;
struct http_client;
struct jobs;
struct token;

struct jobs_audit_field {
    const char *name;
    const char *value; // NULL: left out
};

struct jobs_callbacks {
    // The token of a configured credential; NULL: the configuration in force has none of the name.
    struct token *(*token)(void *owner, const char *auth);
    // Every state of every job, breakers, holds, rollbacks, notifications given up.
    void (*audit)(void *owner, const char *event, const struct jobs_audit_field *fields, size_t n);
};

struct jobs_settings {
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *http;
    struct config_ref *config; // a reference of its own is taken
    struct jobs_callbacks callbacks;
    void *owner;
};

struct jobs *jobs_create(const struct jobs_settings *settings);
void jobs_start(struct jobs *jobs);
// After the tokens of the new configuration are there. What is leased goes on under the
// configuration that it began with; what comes takes the new one.
void jobs_reconfigure(struct jobs *jobs, struct config_ref *config);
// Leases nothing more; `fn` is called when what runs has ended or been given back, after at most
// `limit_us`.
void jobs_stop(struct jobs *jobs, int64_t limit_us, void (*fn)(void *owner));
// After jobs_stop(): what runs is given back now, as far as the database takes it within a second.
void jobs_stop_now(struct jobs *jobs);
void jobs_destroy(struct jobs **jobs);

// What they are doing, for status and metrics.
struct jobs_api_stats {
    const char *name;
    enum breaker_state breaker;
    unsigned failures;   // in a row
    int64_t open_for_us; // until half-open; 0: not open
    int64_t held_for_us; // by 429 or rate limit; 0: not held
    unsigned in_flight, waiting;
};
struct jobs_stats {
    bool enabled; // the configuration has jobs, or had; else the rest is zero
    struct queue_counts counts;
    unsigned active; // leased here
    bool connected;
    struct status last_error; // of the queue's connection; STATUS_OK: none
    size_t n_apis;
};
void jobs_stat(const struct jobs *jobs, struct jobs_stats *stats_r);
void jobs_stat_api(const struct jobs *jobs, size_t api, struct jobs_api_stats *stats_r);

#endif

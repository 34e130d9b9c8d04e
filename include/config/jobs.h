// SPDX-License-Identifier: Apache-2.0
// What the configuration's "jobs" section says: the APIs, the actions that may be run, and the jobs
// to queue. Part of struct config (config/load.h), with its rules: never changed, strings never
// NULL unless said so, durations in microseconds.
#ifndef CXSINK_CONFIG_JOBS_H
#define CXSINK_CONFIG_JOBS_H

#include "config/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_api {
    char *name;
    char *base_url; // https://host[:port][/prefix], no slash at its end; http only to loopback
    size_t auth;    // index into config.auth; CONFIG_NONE: no Authorization
    int64_t connect_timeout_us, timeout_us;
    unsigned max_connections;
    unsigned rate_limit; // requests in `rate_period_us`; 0: no limit. "1000/min", "20/s", "5000/h"
    int64_t rate_period_us;
    unsigned breaker_failures; // in a row
    int64_t breaker_reset_us;
    struct config_pairs headers; // further ones of every request
    struct config_tls tls;
};

enum config_kind { ACTION_INVOKE, ACTION_EXECUTE, ACTION_PUBLISH, ACTION_CONFIGURE, ACTION_KINDS };

struct config_strings {
    char **items;
    size_t count;
};

struct config_action {
    char *name;
    enum config_kind kind;
    size_t api; // index into config.jobs.apis
    char *action_id;
    // Overrides of the REST paths, by the kind's names for them: "invoke", "status" (invoke),
    // "execute", "version" (publish), "health", "update", "read" (configure). "{actionId}",
    // "{invocationId}", "{versionId}" stand for the percent-encoded values.
    struct config_pairs paths;
    unsigned retry_max; // CONFIG_RETRY_DEFAULT: the kind's own
    int64_t give_up_after_us;
    char *notify_url;    // NULL: none
    char *notify_secret; // NULL: unsigned; wiped when freed
    bool allow_private;
    // invoke
    bool limits_inputs;                   // "allowed_inputs" is there
    struct config_strings allowed_inputs; // names of inputs
    char *callback_url;                   // NULL: none
    int64_t poll_interval_us, poll_timeout_us;
    uint64_t max_payload; // bytes of the request's body
    // execute
    struct config_strings content_types; // at least one
    uint64_t max_bytes;                  // of the raw payload
    char *file_dir;                      // likewise of publish; files must be below it; NULL: any
    char *storage_dir, *storage_url;     // at most one is not NULL
    bool storage_include_data;
    // publish
    struct config_strings environments;   // at least one of sandbox and production
    struct config_pairs allowed_versions; // package to range
    struct config_strings blocked_packages;
    char *webhook_url; // NULL: none
};

#define CONFIG_RETRY_DEFAULT ((unsigned)-1)

// One entry of "jobs.queue": its JSON text, with the environment's values put in.
struct config_job {
    char *text;
    unsigned line;
};

struct config_jobs {
    bool enabled; // the section is there
    unsigned concurrency;
    int64_t retention_us; // how long finished jobs are kept; those of `queue` stay
    struct config_api *apis;
    size_t n_apis;
    struct config_action *actions;
    size_t n_actions;
    struct config_job *queue;
    size_t n_queue;
    char *drop_dir; // NULL: none
};

#endif

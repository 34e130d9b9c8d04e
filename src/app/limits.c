// SPDX-License-Identifier: Apache-2.0
#include "app/limits.h"

#include <stdbool.h>
#include <sys/resource.h>

// libwebsockets keeps a table entry for each descriptor that the limit allows, so that "unlimited"
// would cost memory.
#define USUAL 4096
// The loop, the log and the audit, the spool's segments, listeners, clients of the admin endpoint,
// kept connections.
#define BASE 96
#define OF_A_STREAM 2  // its socket; the one of an attempt before it may still be closing
#define OF_THE_QUEUE 4 // its connection, the drop directory's watch and look
#define OF_A_JOB 8     // a file read, one written, the helper's pipes

size_t limits_descriptors(const struct config *config)
{
    const struct config_jobs *jobs = &config->jobs;
    size_t n = BASE + OF_A_STREAM * config->n_streams + config->n_auth;
    n += config->postgres.connections;
    if (!jobs->enabled)
        return n;
    n += OF_THE_QUEUE + OF_A_JOB * (size_t)jobs->concurrency;
    for (size_t i = 0; i < jobs->n_apis; i++)
        n += jobs->apis[i].max_connections;
    return n;
}

void limits_apply(const struct config *config)
{
    struct rlimit files;
    size_t needed = limits_descriptors(config);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t wanted = needed > USUAL ? needed : USUAL;
    files.rlim_cur = wanted < files.rlim_max ? wanted : files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

void limits_check(const struct config *config, struct config_faults *faults)
{
    struct rlimit files;
    size_t needed = limits_descriptors(config);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max >= needed)
        return;
    config_faults_add(faults, 0, "",
                      "a process may open %llu files here, and this configuration may need %zu: "
                      "raise the hard limit (LimitNOFILE= in the unit, ulimit -Hn in a shell), or "
                      "lower jobs.concurrency and max_connections",
                      (unsigned long long)files.rlim_max, needed);
}

// SPDX-License-Identifier: Apache-2.0
// One job as the queue (cxsink.jobs) keeps it and the runner steps it.
//
// A job rests in the table. A worker leases it, does the step that `step` names, stores what came
// of it, and goes on or lets go of it. The states are for people and queries; the step is where the
// kind's own machine stands, so that a restart goes on there.
#ifndef CXSINK_JOBS_JOB_H
#define CXSINK_JOBS_JOB_H

#include "core/uuid.h"
#include "jobs/base64_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(identifier, name, sentence)
#define JOB_STATES(X)                                                                   \
    X(QUEUED, "queued", "waits for its time, a free worker, its API or its next try")   \
    X(RUNNING, "running", "a worker holds it and is at work")                           \
    X(POLLING, "polling", "the far side is at work; its status is asked for at run_at") \
    X(SUCCEEDED, "succeeded", "done; result says what came")                            \
    X(FAILED, "failed", "given up; error says why")                                     \
    X(CANCELLED, "cancelled", "ended by a person")

#define JOB_STATE_ENUM(identifier, name, sentence) JOB_##identifier,
enum job_state { JOB_STATES(JOB_STATE_ENUM) JOB_STATE_COUNT };
#undef JOB_STATE_ENUM

const char *job_state_name(enum job_state state);
bool job_state_parse(const char *name, enum job_state *state_r);
static inline bool job_state_is_final(enum job_state state)
{
    return state >= JOB_SUCCEEDED;
}

#define JOB_ID_MAX 255 // bytes
#define JOB_STEP_SIZE 32
#define JOB_SOURCE_SIZE 16

// The parameter "data" where it is large: it has a column of its own, and is read and looked at
// slice by slice, so that megabytes hold no turn of the loop.
struct job_data {
    size_t length; // of the whole, in bytes; 0: the parameters have what there is
    char *text;    // owned; NULL: nothing of it was read
    size_t have;   // bytes that were read
    struct base64_text scan;
};

// Texts are owned; JSON texts are valid JSON.
struct job {
    char *id;
    char *action;
    char *params; // JSON object; NULL: too large to come with the lease, see queue_load()
    size_t params_length;
    struct job_data data;
    enum job_state state;
    char step[JOB_STEP_SIZE]; // "" until the kind chose its first
    unsigned attempt;         // tries begun: the lease that begins one counts it
    unsigned failures;        // tries that count against the retry limit
    bool sent_before;         // a request of this step may have reached the far side already
    unsigned lease_losses;    // workers that died holding it
    unsigned lease;           // how often it was leased: fences what this lease stores
    int64_t created_us;       // wall clock; give_up_after counts from max(created, run_at)
    int64_t started_us;       // of the first lease
    int64_t first_run_us;     // the run_at that it was queued with
    char idempotency_key[UUID_TEXT_SIZE]; // made and stored by the first lease
    char trace_id[UUID_TEXT_SIZE];        // likewise, when it was queued without
    char *remote_id;                      // invocationId, executionId; NULL: none yet
    char *progress;                       // JSON object, the kind's own memory; NULL: none
    bool cancel_requested;
    char source[JOB_SOURCE_SIZE]; // config, drop, submit, sql, schedule
    bool is_new;                  // this lease is the first since it was queued, or queued again
};

// Does anything of it have to be read yet?
static inline bool job_is_partial(const struct job *job)
{
    return job->params == NULL || job->data.have < job->data.length;
}
void job_free(struct job **job);

#endif

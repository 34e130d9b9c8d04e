// SPDX-License-Identifier: Apache-2.0
// What the files of the runner share.
//
// A struct run is one leased job. It is at one place at a time (enum run_state); the callback of
// what it waits for brings it on. Whatever ends it, it leaves through run_release (back to the
// queue), run_finish (a final state) or run_drop (the lease is gone, nothing may be stored).
#ifndef CXSINK_JOBS_JOBS_PRIV_H
#define CXSINK_JOBS_JOBS_PRIV_H

#include "config/load.h"
#include "config/ref.h"
#include "core/counter.h"
#include "core/loop.h"
#include "core/timer.h"
#include "jobs/jobs.h"
#include "jobs/kind.h"
#include "jobs/rate.h"
#include "jobs/sandbox.h"
#include "json/tape.h"
#include "net/http.h"

struct announcer;
struct drop;
struct notifier;
struct payload;
struct storage;
struct token_waiter;

// One far side, by the name of its configuration. It stays while a run uses it.
struct api {
    struct jobs *jobs;
    struct api *next;
    char *name;
    bool configured; // by the configuration in force
    bool asked;      // the claim under way is for its jobs, too
    bool drained;    // the last claim brought all there were, and nothing woke us since
    struct http_pool *pool;
    struct breaker breaker;
    struct rate rate;
    unsigned refusals; // 429 in a row without Retry-After: the hold grows
    unsigned runs;     // of it
    unsigned leased;   // of them not ENDING
    unsigned ahead;    // so many are leased beyond its connections
    unsigned ended;    // done with their requests since the last claim was asked for
    struct metric_series *state;
};

// X(identifier, name, sentence)
#define RUN_STATES(X)                                                       \
    X(READY, "ready", "leased, and waits for a place among those at work")  \
    X(LOADING, "loading", "its large parameters are read")                  \
    X(STORING, "storing", "its record is stored before the next operation") \
    X(TOKEN, "token", "waits for its API's token")                          \
    X(HELD, "held", "waits a moment for its API's rate, or the checker")    \
    X(SENDING, "sending", "a request is under way")                         \
    X(CHECKING, "checking", "cxsink-jscheck reads its code")                \
    X(LOCKING, "locking", "the database is asked for its lock")             \
    X(KEEPING, "keeping", "what came is written to the action's storage")   \
    X(ENDING, "ending", "its end, or its way back to the queue, is being stored")

#define RUN_STATE_ENUM(identifier, name, sentence) RUN_##identifier,
enum run_state { RUN_STATES(RUN_STATE_ENUM) RUN_STATE_COUNT };
#undef RUN_STATE_ENUM

#define RUN_ATTEMPTS 8 // requests between two stores of the record; kinds need at most 3

struct run {
    struct jobs *jobs;
    struct run *next, *previous;
    enum run_state state;
    struct config_ref *config;
    const struct config_action *action;
    const struct job_kind *kind;
    struct api *api;
    struct job *job;
    struct tape params;
    struct job_op op;
    bool counted;      // among those at work
    bool dirty;        // the record differs from what is stored
    bool effect_done;  // an operation with an effect was answered since the last store
    int status;        // of the last answer; 0: none yet
    bool reauthorized; // this request was refused with 401 once
    bool probe;        // its request is the breaker's probe
    bool sent;         // a request went out in this lease
    bool cancel;       // a person asked; taken up at the end of the present operation
    bool undoing;      // the kind has heard of it
    char *bearer;      // of the request under way; wiped
    struct token_waiter *waiter;
    struct http_request *request;
    struct payload *payload;
    struct sandbox_check *check;
    struct storage *storage;
    struct timer timer;
    struct queue_attempt attempts[RUN_ATTEMPTS]; // not stored yet; `step` and `error` are owned
    size_t n_attempts;
};

struct jobs {
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *http;
    struct config_ref *config;
    struct jobs_callbacks callbacks;
    void *owner;
    struct queue *queue;
    struct drop *drop;
    struct notifier *notifier;
    struct announcer *announcer;
    struct sandbox *sandbox;
    unsigned checks; // of code, under way
    struct api *apis;
    struct run *runs;
    unsigned at_work; // runs with `counted`
    unsigned leased;  // runs that are not ENDING
    bool started, stopping, claiming;
    bool fill_posted;
    struct timer gate_timer; // an API may be used again
    struct timer stop_timer;
    void (*stopped)(void *owner);
    struct status connection_error; // STATUS_OK: connected
};

// --- jobs.c ---
void jobs_fill_soon(struct jobs *jobs);
void jobs_audit(struct run *run, const char *event, const char *detail, int status,
                int64_t latency_us);
// An event of a job that need not be leased here.
struct jobs_event {
    const char *name;
    const struct job *job;
    const char *kind;   // NULL: not known
    const char *detail; // NULL: none
    int status;         // HTTP; 0: none
    int64_t latency_us; // < 0: none
};
void jobs_audit_event(struct jobs *jobs, const struct jobs_event *event);
const struct config_action *jobs_find_action(const struct jobs *jobs, const char *name);
// The end of a job is stored: it is counted and audited. `status` is that of the
// last answer, 0: none; `error` is its JSON, NULL: it succeeded.
void jobs_tell_end(struct jobs *jobs, const struct job *job, const char *kind, int status,
                   const char *error);

// --- announce.c: ends of jobs that no worker was there for, and what was queued ---
struct announcer *announcer_create(struct jobs *jobs);
// A job was queued.
void announce_queued(struct jobs *jobs, const char *id, const char *action, const char *source);
// Many were (queue_callbacks.queued); they are told bit by bit.
void announce_list(struct announcer *announcer, const char *source, struct buf *list);
// queue_callbacks.ended
void announce_end(struct jobs *jobs, struct job *job, const char *error);
// What was queued and is not told yet is told now.
void announcer_destroy(struct announcer **announcer);

// --- api.c ---
void apis_configure(struct jobs *jobs);
void apis_destroy(struct jobs *jobs);
struct api *api_find(const struct jobs *jobs, const char *name);
const struct config_api *api_config(const struct run *run);
void api_release(struct api **api); // of a run
// How long until a request may go out: 0 now, -1 unknown (the probe is out).
int64_t api_wait(struct api *api, int64_t now_us);
void api_hold(struct api *api, int64_t for_us);
// The outcome of a request for the breaker; audits and shows a change.
void api_answered(struct api *api, bool probe, bool failed, const char *why);
void api_show(struct api *api);

// --- run.c: life and steps ---
void run_begin(struct jobs *jobs, struct job *job);
void run_start(struct run *run); // READY, and there is a place
void run_set_state(struct run *run, enum run_state state);
void run_step(struct run *run); // plans and does the next operation
// The kind hears what came of the operation, and the run goes on.
void run_answer(struct run *run, const struct job_answer *answer);
void run_stored(struct run *run);
void run_cancel(struct run *run);
void run_drop(struct run *run);
// After a reload: one that waits for a token which is gone asks for the one that is there now.
void run_reload(struct run *run);
// At the daemon's end: it goes back to the queue as it stands.
void run_leave(struct run *run);
const struct kind_context *run_context(struct run *run, struct kind_context *context);
struct run *run_find(const struct jobs *jobs, const char *id);
struct log_fields run_log(const struct run *run);

// --- send.c: JOB_OP_SEND ---
void run_send(struct run *run);
void run_stop_sending(struct run *run);
// What came was no answer: tried again later, or given up.
void run_retry(struct run *run, const char *message);

// --- settle.c: what is stored ---
void run_store(struct run *run); // then goes on with its operation
void run_note(struct run *run);  // what an effect came to, while the run goes on
void run_release(struct run *run, int64_t delay_us, const char *why);
void run_finish(struct run *run, enum job_state state);
// One request and its end.
void run_record(struct run *run, const struct http_response *response);
// One whose end nobody waits for: the far side may have seen it.
void run_record_cut(struct run *run);
void run_free_attempts(struct run *run);

// --- storage.c: JOB_OP_STORE ---
void run_keep(struct run *run);
void run_stop_keeping(struct run *run);

// --- notify.c ---
struct notifier *notifier_create(struct jobs *jobs);
void notifier_wake(struct notifier *notifier);
void notifier_destroy(struct notifier **notifier);

#endif

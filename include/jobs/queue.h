// SPDX-License-Identifier: Apache-2.0
// The durable queue in PostgreSQL (sql/0003_jobs.sql): leases, heartbeats, LISTEN/NOTIFY beside a
// slow poll, schedules, locks, the outbox of notifications, retention. Several daemons share it.
//
// A struct queue owns one connection, which it opens again by itself. Everything that a turn of the
// loop wants stored goes out in one statement (queue_save collects); one round trip is in flight at
// a time, so what comes while it is under way is collected for the next: group commit.
//
// Fencing: what a worker stores applies only while its lease stands. A lease that was lost (this
// daemon was cut off for longer than JOB_LEASE_US) is told by `lost`, and what it saves is void.
#ifndef CXSINK_JOBS_QUEUE_H
#define CXSINK_JOBS_QUEUE_H

#include "core/clock.h"
#include "core/log.h"
#include "jobs/job.h"
#include "jobs/submission.h"

struct config;
struct loop;
struct queue;
struct resolver;

#define JOB_LEASE_US (10 * US_PER_S)
#define JOB_HEARTBEAT_US (3 * US_PER_S)
// A dead worker's job is taken over after the lease and at most one look: below 15 s.
#define JOB_TAKEOVER_US (2 * US_PER_S)
// Leases lost before a job is given up, since it may be what kills the workers: the next one fails
// it, and undoes what must be undone. After twice as many it is failed as it is.
#define JOB_LEASE_LOSSES_MAX 5

// The oldest PostgreSQL that jobs work with, as pg_conn_server_version() tells it. STATUS_INVALID
// says so of an older one.
#define QUEUE_SERVER_MIN 130000
enum status_code queue_check_server(int version, struct status *st) STATUS_MUST_CHECK;

struct queue_callbacks {
    // A job is leased to this worker; it is the receiver's now. Its state is RUNNING or POLLING.
    void (*claimed)(void *owner, struct job *job);
    // The answer to a claim is complete. Fewer than asked for: there is nothing more for now (or
    // the connection went: then 0), and `wake` says when there may be.
    void (*claim_done)(void *owner, unsigned asked, unsigned got);
    // The lease of a job is gone, or (`cancel`) a person asked to cancel it.
    void (*lost)(void *owner, const char *id, bool cancel);
    // A job that ended without a worker (cancelled before it began, given up in the database) is
    // not told of yet; it is the receiver's now, who answers with queue_end_told(). `error` is its
    // JSON. May be NULL: others tell.
    void (*ended)(void *owner, struct job *job, const char *error);
    // Jobs were put on the queue here: the id and action of each, with their NULs, in `list`, which
    // the receiver may take over. `source` as in queue_enqueue(), or "schedule". May be NULL.
    void (*queued)(void *owner, const char *source, struct buf *list);
    // There may be work now (a notification, a due time, a reconnect): ask with queue_claim().
    void (*wake)(void *owner);
    // The connection came up (`st` NULL) or is down; said once a change, and when the cause is
    // another. `retry_us` says when it is tried again.
    void (*connection)(void *owner, const struct status *st, int64_t retry_us);
    // Jobs were queued from schedules, deleted by retention, or wait with actions that this
    // configuration does not know: for the log.
    void (*told)(void *owner, enum log_level level, const char *sentence);
};

struct queue_settings {
    struct loop *loop;
    struct resolver *resolver;
    const struct config *config; // until queue_reconfigure
    bool worker; // takes part in leasing, schedules and retention; else it only queues (commands)
    struct queue_callbacks callbacks;
    void *owner;
};
struct queue *queue_create(const struct queue_settings *settings);
void queue_reconfigure(struct queue *queue, const struct config *config);
// Leases that it still holds are given back first when the connection stands (`fn` is called when
// that is done or a second has passed); no further callbacks.
void queue_stop(struct queue *queue, void (*fn)(void *owner), void *owner);
void queue_destroy(struct queue **queue);
bool queue_connected(const struct queue *queue);

// Asks for up to `max` jobs of the actions whose flag in `wanted` (by index into
// config.jobs.actions) is set. One request is in flight at a time; of those that come meanwhile the
// last one goes out next.
void queue_claim(struct queue *queue, unsigned max, const bool *wanted);

// What became of a lease.
enum queue_lease {
    QUEUE_KEEP,   // goes on
    QUEUE_RELEASE // lets go; somebody takes it at or after run_at
};

// One line of the job's history; no payload.
struct queue_attempt {
    int64_t at_us; // wall clock
    const char *step;
    int status;        // HTTP; 0: none
    const char *error; // NULL: none
    bool sent;         // the far side may have seen it
    int64_t latency_us;
};

// Stores the record: state, step, attempt, failures, remote_id, progress of `job`, and the rest.
// Copied at once.
struct queue_save {
    const struct job *job;
    enum queue_lease lease; // a final state lets go in any case, and of the job's lock
    int64_t delay_us;       // RELEASE: run_at is so much after now
    bool refund;            // the attempt that the lease counted was none: take it back
    const struct queue_attempt *attempts;
    size_t n_attempts;
    const char *result;       // JSON; NULL: as it is
    const char *error;        // JSON; likewise
    const char *notification; // JSON body for the outbox; NULL: none
};
// Called once, when it is committed (STATUS_OK), or the lease is lost (STATUS_BUSY; `lost` is not
// called then). It waits as long as the database is away. Texts that PostgreSQL cannot hold are
// replaced by one that says so: U+0000 by U+FFFD, else the whole text.
typedef void (*queue_fn)(void *owner, enum status_code code);
void queue_save(struct queue *queue, const struct queue_save *save, queue_fn fn, void *owner);
// Reads what was too large to come with the lease (job_is_partial) into the job, a slice each round
// trip; until `fn`, or queue_forget(), the job is the queue's to fill. STATUS_BUSY: the lease is
// lost. It waits as long as the database is away.
void queue_load(struct queue *queue, struct job *job, queue_fn fn, void *owner);
// Forgets callbacks of this owner; what they store is stored all the same.
void queue_forget(struct queue *queue, const void *owner);

// The end of a job of `ended` is told, with this notification (JSON; NULL: none). `fn` is called
// once, when that is committed: STATUS_BUSY when another worker told it.
void queue_end_told(struct queue *queue, const char *job_id, const char *notification, queue_fn fn,
                    void *owner);

// Takes the lock `key` for the job; `holder` is the job that has it (its id) when code is
// STATUS_BUSY, or NULL: the job itself is not leased here any more. Taking it again is fine.
typedef void (*queue_lock_fn)(void *owner, enum status_code code, const char *holder);
void queue_lock(struct queue *queue, const char *job_id, const char *key, queue_lock_fn fn,
                void *owner);

// Puts jobs on the queue in one transaction; an id that is there already is left alone
// (`n_new` counts the others, but for those of a first attempt whose answer was lost). Schedules
// (every, cron) are put into cxsink.job_schedules. `source`: "config", "drop", "submit". Schedules
// of source "config" follow the configuration: changed ones are stored anew, and those that came
// from this configuration's file and are not among `jobs` are removed, unless these are partial.
// STATUS_INVALID: the server refuses them, and none is queued.
typedef void (*queue_enqueue_fn)(void *owner, const struct status *st, size_t n_new);
void queue_enqueue(struct queue *queue, const struct config *config, const struct submissions *jobs,
                   const char *source, queue_enqueue_fn fn, void *owner);

// --- the outbox ---
struct queue_notification {
    int64_t id;
    char *job_id;
    char *action;
    char *body;
    unsigned attempt;
};
// Leases up to `max` due notifications (`fn` gets them one call; they are its until it returns). Of
// two requests that wait the later one stays. What is not done with in a minute comes again.
typedef void (*queue_outbox_fn)(void *owner, const struct queue_notification *items, size_t n);
void queue_outbox(struct queue *queue, unsigned max, queue_outbox_fn fn, void *owner);
// `delay_us` < 0: done (delivered, or given up with `error`), else tried again then.
void queue_outbox_done(struct queue *queue, int64_t id, int64_t delay_us, const char *error);

// --- figures ---
struct queue_counts {
    uint64_t by_state[JOB_STATE_COUNT];
    int64_t oldest_us; // since the longest-waiting due job is due; 0: none
};
// As of the last look (every few seconds while connected).
const struct queue_counts *queue_counts(const struct queue *queue);
// Statements sent since the start, for measuring.
uint64_t queue_statements(const struct queue *queue);

#endif

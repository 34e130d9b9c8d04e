// SPDX-License-Identifier: Apache-2.0
// What the files of the queue share.
//
// Structure: the queue's connection carries one group of statements at a time, a transaction of its
// own (the implicit one of a pipeline, so that a group that fails needs no ROLLBACK). A group is
// made of parts (struct part): of all urgent ones that have something to send (saves, locks, beats,
// claims, the outbox), or of a single lone one (an enqueue; the upkeep: takeover, schedules,
// retention, counts). A part keeps what it was asked for until its group is committed, and sends it
// again when the group came to nothing or its outcome is unknown: every statement here may be
// repeated.
#ifndef CXSINK_JOBS_QUEUE_PRIV_H
#define CXSINK_JOBS_QUEUE_PRIV_H

#include "jobs/queue.h"

#include "core/backoff.h"
#include "core/buf.h"
#include "core/timer.h"
#include "pg/conn.h"

#define QUEUE_PARAMS_MAX 20
#define QUEUE_CHANNEL "cxsink_jobs"
// Jobs of one look for ends that are not told; the parameters of a publish may have megabytes.
#define ENDS_MAX 10

// X(identifier, name): what the queue does in that state
#define QUEUE_STATES(X)                                                               \
    X(DOWN, "down")             /* no connection; its timer makes the next attempt */ \
    X(CONNECTING, "connecting") /* the connection is being made */                    \
    X(PREPARING, "preparing")   /* the migrations are looked at, or applied */        \
    X(READY, "ready")           /* nothing is in flight */                            \
    X(BUSY, "busy")             /* a group is in flight */                            \
    X(WAITING, "waiting")       /* a group failed; its timer sends the next */        \
    X(STOPPED, "stopped")       /* leases are given back; nothing is called any more */

enum queue_state {
#define QUEUE_ENUM(id, name) QUEUE_##id,
    QUEUE_STATES(QUEUE_ENUM)
#undef QUEUE_ENUM
};

// --- parameters of a statement ---

struct params {
    struct buf data[QUEUE_PARAMS_MAX];
    struct pg_param items[QUEUE_PARAMS_MAX];
    int n;
};

void params_clear(struct params *p);
void params_deinit(struct params *p);
void params_text(struct params *p, const char *text); // NULL is NULL
void params_int(struct params *p, int64_t value);
// An array of `n` elements, which are then put into the buffer (pg/array.h).
struct buf *params_array(struct params *p, uint32_t element, size_t n);
void params_put_text(struct buf *array, const char *text); // NULL is NULL

// --- what waits ---

// Embedded at the beginning of what was asked for.
struct item {
    struct item *next;
    void *owner; // of its callback
    bool forgotten;
};

struct list {
    struct item *first, *last;
    size_t count;
};

void list_push(struct list *list, struct item *item);
struct item *list_pop(struct list *list);
// Puts all of `front` before what is in the list.
void list_return(struct list *list, struct list *front);
void list_forget(struct list *list, const void *owner);
void list_free(struct list *list, void (*free_fn)(struct item *item));

// --- parts ---

struct part {
    const char *name;
    bool periodic; // when it is refused, its next time will do
    bool (*wanted)(struct queue *queue);
    void (*send)(struct queue *queue);
    // One call for each statement sent; what it says holds from `committed` on. May be NULL.
    void (*result)(struct queue *queue, const struct pg_result *result);
    // May call the owner, who may call anything.
    void (*committed)(struct queue *queue);
    // The group came to nothing, or nobody knows: what was sent is wanted again.
    void (*aborted)(struct queue *queue);
    // After `aborted`: the server refuses it for what is in it. True when it was changed, or handed
    // back, so that the rest can go on. NULL: it waits and is sent again.
    bool (*refused)(struct queue *queue, const struct pg_error *error);
};

extern const struct part part_listen, part_save, part_lock, part_beat, part_recover, part_claim,
    part_load, part_told, part_notified, part_outbox, part_enqueue, part_give_back, part_takeover,
    part_schedules, part_untold, part_retention, part_counts;

struct group {
    const struct part **steps; // by statement; NULL: of no part
    size_t n_steps, cap_steps, at;
    bool lone;
    const struct part *failed; // whose statement the server refused
    bool error_seen;
    struct pg_error error;
};

// --- the queue ---

struct lease {
    char *id;
    unsigned number;
    uint64_t hash;
    bool seen;         // by the last beat
    bool cancel_asked; // as the last beat said
    bool cancel_told;
};

// When a periodic part is wanted.
struct clockwork {
    int64_t period_us;
    struct mono next;
};

struct queue {
    struct queue_settings settings;
    enum queue_state state;
    char worker[UUID_TEXT_SIZE]; // leased_by
    struct pg_conn *conn;
    struct migrate_run *migration;
    bool migrated;
    struct backoff backoff;
    struct timer retry;    // of DOWN and WAITING
    struct timer tick;     // looks what is due
    struct timer wake;     // a job becomes due
    struct mono polled_at; // when `wake` was last called
    struct status trouble; // as the owner was told; STATUS_OK: none
    bool told;             // the owner knows of the connection
    bool posted;           // queue_pump() is
    struct group group;
    struct params params; // of the statement being made
    unsigned turn;        // of the lone parts
    bool lone_last;
    uint64_t statements;

    bool listening; // LISTEN was committed
    bool proven;    // a notification came while nothing was in flight: they do come

    struct {
        struct list waiting, flight, done;
        int64_t token;
        bool singly; // one a statement, to find the one that is refused
    } saves;
    struct {
        struct lease *items;
        size_t count, cap;
        bool recover; // this connection has not asked yet for leases that the queue has not
        struct clockwork beat;
    } leases;
    struct {
        bool wanted;
        unsigned max;
        bool *actions;       // by index into config.jobs.actions
        unsigned asked, got; // of the group in flight
        unsigned failed;     // what was asked for by a claim that came to nothing; 0: none
        struct job **jobs;   // claimed or recovered by the group in flight
        size_t n_jobs, cap_jobs;
        int64_t next_due_us; // from now; INT64_MAX: none
    } claim;
    struct {
        struct list waiting, flight, done;
        struct item *answered; // the last one of `flight`
    } locks;
    struct {
        struct list waiting, flight; // at most one in flight
    } loads;
    struct list enqueues; // the first may be in flight
    struct {
        struct list asked;                // at most one
        struct list waiting, flight;      // what became of notifications
        struct queue_notification *items; // leased by the group in flight
        size_t n_items;
    } outbox;
    struct {
        struct clockwork takeover, schedules, retention, counts;
        struct queue_counts counts_now, counts_next;
        struct mono asked_at;
        struct buf queued;    // by schedules: id and action of each
        struct buf sentences; // to be told at the commit, each with its level (a byte) and a NUL
        struct buf unknown, unknown_told; // names of actions
        uint64_t unknown_jobs;
        uint64_t deleted; // since it was last told
    } upkeep;
    struct {
        struct clockwork clock;
        struct job *jobs[ENDS_MAX]; // found by the group in flight, and their errors
        char *errors[ENDS_MAX];
        size_t n_jobs;
        struct list waiting, flight, done; // what was told
    } ends;
    struct {
        void (*fn)(void *owner); // not NULL: stopping
        void *owner;
        struct timer patience;
    } stop;
};

// --- queue_group.c ---
// Sends the next group, if nothing is in flight and something is wanted; in this turn's tail.
void queue_pump_soon(struct queue *queue);
// A statement of the part that is sending.
void queue_send(struct queue *queue, const struct part *part, const char *sql,
                struct params *params);
void queue_group_result(struct queue *queue, const struct pg_result *result,
                        const struct pg_error *error);
void queue_group_synced(struct queue *queue);
// The connection went; what was in flight is wanted again.
void queue_group_abort(struct queue *queue);

// --- queue.c ---
void queue_set_state(struct queue *queue, enum queue_state state);
// The only way down: closes the connection, tells the owner, and tries again later.
void queue_lost(struct queue *queue, enum status_code code, const char *sentence);
// A group was committed: only now it is known to work. (The first one comes at once.)
void queue_tell_up(struct queue *queue);
// The server refused a group for now: the next one goes out after a while.
void queue_wait(struct queue *queue, const char *sentence);
void queue_tell(struct queue *queue, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// A job is due in `delay_us`, or earlier.
void queue_wake_in(struct queue *queue, int64_t delay_us);
bool queue_stopping(const struct queue *queue);
// Stopping is done: leases are given back, or there is no time.
void queue_stopped(struct queue *queue);

void clockwork_start(struct clockwork *c, struct mono now, int64_t period_us);
bool clockwork_due(const struct queue *queue, const struct clockwork *c);
void clockwork_wind(const struct queue *queue, struct clockwork *c);

// --- queue_lease.c ---
void leases_add(struct queue *queue, const struct job *job);
// False when it is not there.
bool leases_remove(struct queue *queue, const char *id, unsigned number);
bool leases_has(const struct queue *queue, const char *id, unsigned number);
// A parameter: the ids of all.
void leases_put_ids(const struct queue *queue, struct params *p);
void leases_free(struct queue *queue);
// Cancel requests are looked for now.
void leases_beat_soon(struct queue *queue);

// --- queue_claim.c ---
// What queue_read_job() reads; `params` says where parameters come from.
#define JOB_COLUMNS(params)                                                             \
    "id, action, " params                                                               \
    ", octet_length(data), state, step, attempt, failures, lease_losses, lease,"        \
    " (date_part('epoch', created_at) * 1000000)::bigint,"                              \
    " (date_part('epoch', first_run_at) * 1000000)::bigint, idempotency_key, trace_id," \
    " remote_id, progress::text, cancel_requested,"                                     \
    " (date_part('epoch', started_at) * 1000000)::bigint, source, started_at = now(),"  \
    " lease_losses > 0 OR jsonb_path_exists(attempts,"                                  \
    " '$[*] ? (@.step == $step && @.sent == true)', jsonb_build_object('step', step))"
#define JOB_COLUMNS_COUNT 21
struct job *queue_read_job(const struct pg_result *result, int row);
char *queue_read_text(const struct pg_result *result, int row, int column); // NULL: NULL; owned

// --- queue_enqueue.c ---
// Appends the id and the action in columns 0 and 1, with their NULs.
void queue_note_queued(struct buf *list, const struct pg_result *result, int row);
// Tells of what was noted, and empties it.
void queue_tell_queued(struct queue *queue, const char *source, struct buf *list);

// --- queue_ends.c ---
// There is an end that is not told.
void ends_soon(struct queue *queue);
void ends_free(struct queue *queue);

// --- queue_save.c, queue_enqueue.c, queue_claim.c, queue_load.c, queue_outbox.c, queue_upkeep.c
// ---
void saves_free(struct queue *queue);
void enqueues_free(struct queue *queue);
void claim_free(struct queue *queue);
// What was asked for and is not sent comes to nothing.
void claim_cancel(struct queue *queue);
// Tells the owner of a claim that came to nothing.
void claim_tell_void(struct queue *queue);
void outbox_free(struct queue *queue);
void upkeep_start(struct queue *queue);
void upkeep_free(struct queue *queue);
void locks_free(struct queue *queue);
void loads_free(struct queue *queue);

#endif

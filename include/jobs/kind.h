// SPDX-License-Identifier: Apache-2.0
// A kind of job as a pure state machine: it says what to do next and understands the answer. It
// knows no loop, clock, network, database or log; the runner does what it says, stores each step
// before its side effect, and deals alone with what all kinds share: tokens and 401, 429 and
// holding an API back, 5xx and networks, breaker, retries, leases.
//
//   plan(job)  -> an operation (struct job_op): send a request, wait, check code, take a lock,
//                 store a file, or the end
//   take(job, answer) -> what the answer means; may change step, progress and remote_id, which the
//                 runner stores before the next operation that has an effect, and set failures to
//                 0, as every change of the step does
//
// The last steps hold the end itself: progress is the result or the error then. Members of progress
// that the audit shows have the same names in every step: correlationId (invoke); mimeType,
// originalSize, encodedSize (execute); version, environment, checksum (publish).
//
// plan() depends on the record alone, so that a restart plans the same operation again: same body,
// same key.
#ifndef CXSINK_JOBS_KIND_H
#define CXSINK_JOBS_KIND_H

#include "config/jobs.h"
#include "core/buf.h"
#include "jobs/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tape;

// Faults of a job, all at once: JSON Pointer into the job (as it was submitted) and what is wrong,
// with a remedy.
struct job_fault {
    char pointer[256];
    char message[512];
};
struct job_faults {
    struct job_fault *items; // owned
    size_t count;            // at most JOB_FAULTS_MAX are kept; the last says that there are more
};
#define JOB_FAULTS_MAX 100
void job_faults_add(struct job_faults *faults, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void job_faults_free(struct job_faults *faults);

// What a kind looks at. It outlives the operation that was planned from it.
struct kind_context {
    const struct config_action *action;
    const struct tape *params;   // of job->params, its root an object
    int64_t wall_us;             // now, for texts such as generatedAt
    const struct job_data *data; // whole; NULL: params have what there is
};

enum job_op_type {
    JOB_OP_SEND,       // a request to the action's API
    JOB_OP_WAIT,       // let go of the job until delay_us has passed; state polling
    JOB_OP_CHECK_CODE, // cxsink-jscheck over `code`
    JOB_OP_LOCK,       // take the lock `key`, held until the job is finished
    JOB_OP_STORE,      // write `body` (and the data) to the action's storage
    JOB_OP_SUCCEED,    // with `result`
    JOB_OP_FAIL,       // with `result` as the error: {"message": ..., further members}
};

// A payload that is sent without being held whole: prefix, base64 of the source, suffix.
enum job_payload_type { JOB_PAYLOAD_NONE, JOB_PAYLOAD_FILE, JOB_PAYLOAD_BASE64 };
struct job_payload {
    enum job_payload_type type;
    const char *path; // _FILE: absolute; raw bytes
    const char
        *base64; // _BASE64: text as it was submitted (CR, LF and missing padding as they are)
    size_t base64_length;
    uint64_t base64_values; // characters of it that stand for bits; 0: not counted yet
    uint64_t max_bytes;     // _FILE: more is refused
    const char *dir;        // _FILE: where it must be below; NULL: anywhere
};

// Owned by the runner's op; strings are in the op's own buffers or outlive it. Zero is empty.
struct job_op {
    enum job_op_type type;
    // Of an operation with an effect the stored record must say `step` before it starts; without
    // one (reads) it need not.
    bool effect;
    // SEND
    const char *method;
    struct buf path; // begins with "/", percent-encoded, appended to the API's base_url
    struct buf body; // JSON; with a payload: what stands before it
    struct job_payload payload;
    struct buf body_tail; // what stands behind the payload
    int64_t timeout_us;   // 0: the API's
    // Of an effect that undoes another, which must not be taken for its repetition; empty: the
    // job's.
    char idempotency_key[UUID_TEXT_SIZE];
    // WAIT, and LOCK that somebody else holds
    int64_t delay_us;
    // CHECK_CODE
    const char *code;
    size_t code_length;
    bool module;
    // LOCK
    struct buf key;
    bool fail_if_held; // else the job waits
    // SUCCEED, FAIL
    struct buf result; // JSON object
    struct buf held;   // what path, base64 and code of it point to, where that is not params
};
void job_op_deinit(struct job_op *op);

// What came of an operation.
enum job_answer_type {
    JOB_ANSWER_HTTP,    // `status` and body: 2xx, 3xx, and 4xx but 401 and 429
    JOB_ANSWER_GAVE_UP, // 401 twice, 429, 5xx, network, certificate: tried as often as allowed;
                        // `status` is the last answer's (0: none), `message` says what
    JOB_ANSWER_CODE,    // CHECK_CODE: `ok`, else `message` (with `line`)
    JOB_ANSWER_LOCK,    // LOCK: `ok`, else held by `message`
    JOB_ANSWER_STORED,  // STORE: `ok`, else `message`
    JOB_ANSWER_UNDO     // a person cancels it, or it is given up (`message`); only where must_undo
};
struct job_answer {
    enum job_answer_type type;
    int status;
    const char *body; // never NULL
    size_t body_length;
    const struct tape *json; // the body parsed; NULL: empty or not JSON
    bool ok;
    bool sent; // GAVE_UP: the far side may have seen the request
    unsigned line;
    const char *message; // for people; never NULL
    int64_t elapsed_us;
};

enum job_verdict_type {
    JOB_NEXT,  // plan again
    JOB_RETRY, // as after a 5xx: the answer was none (a 200 that is not JSON, a read-back too
               // early)
};
struct job_verdict {
    enum job_verdict_type type;
    char message[256]; // RETRY: what was wrong
};

struct job_kind {
    const char *name;
    const char *const *steps; // in their order, NULL at the end; the first is where a job starts
    // Members that a job may have beside those common to every job; NULL at the end.
    const char *const *members;
    unsigned max_429;      // retries after 429, unless the action says otherwise
    unsigned max_failures; // after 5xx, network and timeouts, likewise
    // Checks the job's own parameters against the action; all faults but unknown members. May look
    // at files.
    void (*check)(const struct kind_context *context, struct job_faults *faults);
    void (*plan)(const struct job *job, const struct kind_context *context, struct job_op *op_r);
    void (*take)(struct job *job, const struct kind_context *context,
                 const struct job_answer *answer, struct job_verdict *verdict_r);
    // True when cancelling or giving up must first undo something, or has (`take` is then given
    // JOB_ANSWER_UNDO, and FAIL comes when that is done); NULL: never.
    bool (*must_undo)(const struct job *job);
    // The step that undoes, however long ago the job was due; NULL: none.
    const char *undo_step;
    // The body of the notification of a finished job, as JSON, to the action's notify_url (or
    // webhook_url); false: none.
    bool (*notification)(const struct job *job, const struct kind_context *context,
                         const char *result, struct buf *out);
};

extern const struct job_kind job_kind_invoke, job_kind_execute, job_kind_publish,
    job_kind_configure;
const struct job_kind *job_kind(enum config_kind kind);

#endif

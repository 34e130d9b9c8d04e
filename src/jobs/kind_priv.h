// SPDX-License-Identifier: Apache-2.0
// What the kinds share: JSON that is written, the record that goes from step to step, the end.
#ifndef CXSINK_JOBS_KIND_PRIV_H
#define CXSINK_JOBS_KIND_PRIV_H

#include "jobs/kind.h"
#include "json/lookup.h"
#include "json/tape.h"

// What the far side answered is shown up to here, bytes.
#define KIND_ANSWER_MAX ((size_t)64 << 10)

// --- JSON (kind_json.c) --------------------------------------------------------------------------
// Members are appended to an object that was begun with "{"; the caller ends it.

void put_text(struct buf *out, const char *name, const char *text); // NULL: null
void put_integer(struct buf *out, const char *name, int64_t value);
void put_boolean(struct buf *out, const char *name, bool value);
void put_json(struct buf *out, const char *name, const char *json);
// A value of a tape, as json_copy; TAPE_NONE: null.
void put_value(struct buf *out, const char *name, const struct tape *tape, uint32_t value);
// All members of an object.
void put_members(struct buf *out, const struct tape *tape, uint32_t object);
// A value without blanks, as PostgreSQL's jsonb can hold it: U+0000 becomes U+FFFD, a number beyond
// its range a string.
void json_copy(struct buf *out, const struct tape *tape, uint32_t value);
// Whether jsonb can hold a number of this spelling.
bool json_number_fits(const char *raw, size_t length);

// --- the record (kind_record.c) ------------------------------------------------------------------

bool kind_at(const struct job *job, const char *step);
void kind_go(struct job *job, const char *step);
// The progress becomes what `json` holds, which is emptied.
void kind_remember(struct job *job, struct buf *json);
// Parses the progress; no progress is an empty object. End with tape_deinit().
void kind_recall(const struct job *job, struct tape *tape_r);

// At the last steps "done", "failed" and "restored": plans the end, and true.
bool kind_plan_end(const struct job *job, struct job_op *op);
// Begins an error: {"message": ..., and what was answered (NULL: nothing). The caller adds members
// and ends it with kind_end().
void kind_begin_error(struct buf *error, const struct job_answer *answer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// "outcome": "unknown": the effect may have come about, so that a person's retry keeps the key.
void kind_put_unknown(struct buf *error);
// Ends the object
void kind_end(struct job *job, const char *step, struct buf *json);

// --- answers (kind_record.c) ---------------------------------------------------------------------

// A 2xx answer.
bool kind_succeeded(const struct job_answer *answer);
// Its JSON is an object.
bool kind_has_object(const struct job_answer *answer);
// "HTTP 400: no such action", or why there is no answer; the caller's.
char *kind_sentence(const struct job_answer *answer);
void kind_retry(struct job_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// --- checks (kind_check.c) -----------------------------------------------------------------------

// A fault at a value of the parameters, or a member's name.
void check_fault(const struct tape *params, uint32_t at, struct job_faults *faults,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
// The member of the object at `object` (TAPE_NONE: none) when it is of that kind (TAPE_TRUE stands
// for both booleans); else TAPE_NONE, with a fault when it is of another.
uint32_t check_member(const struct tape *params, uint32_t object, const char *name,
                      enum tape_kind kind, struct job_faults *faults);
// A fault for each member of the object that is not in `known`. It names the nearest of those and
// of `hints` (NULL: none). Both end with NULL.
void check_known(const struct tape *params, uint32_t object, const char *const *known,
                 const char *const *hints, struct job_faults *faults);
// A whole number from `least` to `most`, else a fault.
void check_range(const struct tape *params, uint32_t value, int64_t least, int64_t most,
                 struct job_faults *faults);

// --- requests (kind.c) ---------------------------------------------------------------------------

struct kind_request {
    const char *method;
    const char *path;         // the action's name for it
    const char *fallback;     // where the action does not say another
    const char *name, *value; // what stands in it beside {actionId}; NULL: nothing
};
void kind_plan_request(struct job_op *op, const struct kind_context *context,
                       const struct kind_request *request);

// --- notifications (kind.c) ----------------------------------------------------------------------

// "traceId", which a job that no worker ever held may not have: null.
void kind_put_trace(struct buf *out, const struct job *job);

// {jobId, action, state, traceId, and the members of the result}, where the action has a
// notify_url.
bool kind_notification(const struct job *job, const struct kind_context *context,
                       const char *result, struct buf *out);

#endif

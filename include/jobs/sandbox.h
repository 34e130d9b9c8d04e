// SPDX-License-Identifier: Apache-2.0
// Runs cxsink-jscheck, which checks the syntax of action code without running it, and holds it to
// its limits: 3 s of wall time, 256 MiB resident, 4 KiB of answer. Nothing waits: the helper is
// started with posix_spawn(3), its pipes, its end (a pidfd) and its limits are events on the loop,
// and it is reaped whatever happens.
//
// The runner owns the one struct sandbox; a struct sandbox_check is one run of the helper. How many
// run at a time is the caller's to bound: each may take its limit.
#ifndef CXSINK_JOBS_SANDBOX_H
#define CXSINK_JOBS_SANDBOX_H

#include "core/buf.h"
#include "core/clock.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct sandbox;
struct sandbox_check;

#define SANDBOX_CODE_MAX ((size_t)1 << 20)
#define SANDBOX_TIMEOUT_US (3 * US_PER_S)
#define SANDBOX_RESIDENT_MAX ((size_t)256 << 20)

// X(identifier, name, final, sentence). Final: the code itself was judged, another try says the
// same.
#define SANDBOX_RESULTS(X)                                                            \
    X(OK, "ok", true, "the code is JavaScript")                                       \
    X(SYNTAX, "syntax", true, "it is not; the message says why, the line where")      \
    X(REFUSED, "refused", true, "not looked at: too large, not UTF-8, or with a NUL") \
    X(TOO_COMPLEX, "too_complex", true, "nested too deeply to be checked")            \
    X(TIMEOUT, "timeout", true, "not done in time")                                   \
    X(MEMORY, "memory", true, "checking it took too much memory")                     \
    X(MISSING, "missing", false, "there is no helper")                                \
    X(CRASHED, "crashed", false, "the helper ended without a verdict, or gave a senseless one")

enum sandbox_result {
#define SANDBOX_RESULT_ID(identifier, name, final, sentence) SANDBOX_##identifier,
    SANDBOX_RESULTS(SANDBOX_RESULT_ID)
#undef SANDBOX_RESULT_ID
        SANDBOX_RESULT_COUNT
};
const char *sandbox_result_name(enum sandbox_result result);
bool sandbox_result_final(enum sandbox_result result);

struct sandbox_verdict {
    enum sandbox_result result;
    unsigned line; // from 1; 0: not known
    // For people, "" when OK. Of a syntax error the engine's, which may quote a word of the code.
    char message[STATUS_DETAIL_MAX];
    int64_t elapsed_us; // from the start of the helper to its end
};

typedef void (*sandbox_fn)(void *owner, const struct sandbox_verdict *verdict);

struct sandbox_options {
    const char *helper;  // its path, copied; NULL: looked for anew at each check
    int64_t timeout_us;  // 0: SANDBOX_TIMEOUT_US
    size_t resident_max; // bytes; 0: SANDBOX_RESIDENT_MAX
};

// `options` may be NULL.
struct sandbox *sandbox_create(struct loop *loop, const struct sandbox_options *options);
// Cancels every check and waits for what was killed, which is a matter of milliseconds.
void sandbox_destroy(struct sandbox **sandbox);

// Calls `fn` once, never before this call returns; *check_r (which may be NULL) is set to NULL
// before. The code is copied. `fn` may start and cancel checks and destroy the sandbox.
void sandbox_check_start(struct sandbox *sandbox, const char *code, size_t length, bool module,
                         sandbox_fn fn, void *owner, struct sandbox_check **check_r);
// Kills the helper; `fn` will not be called. NULL is fine. Allowed inside any callback.
void sandbox_check_cancel(struct sandbox_check **check_r);

// Where the helper is: $CXSINK_JSCHECK when that is set; else cxsink-jscheck beside the running
// binary, in ../libexec/cxsink seen from there, or where it was built to be installed. path_r holds
// it, or where it was looked for last. STATUS_NOT_FOUND names all the places, and what to install.
enum status_code sandbox_find(struct buf *path_r, struct status *st) STATUS_MUST_CHECK;
// For checks at start: is there a helper that could be run?
enum status_code sandbox_available(struct status *st) STATUS_MUST_CHECK;

#endif

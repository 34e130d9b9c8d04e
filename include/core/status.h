// SPDX-License-Identifier: Apache-2.0
// Result of anything that can fail: a code to decide by, and a bounded sentence for people.
//
// Leaf modules return a status and log nothing; the owner of the work logs it and says what
// happens next. The sentence says what is wrong, where, and what to do, without a final full
// stop, and never holds a secret or a payload.
#ifndef CXSINK_CORE_STATUS_H
#define CXSINK_CORE_STATUS_H

#include <stdarg.h>

// Bytes of a sentence, its NUL included; longer ones are cut and end in "...".
#define STATUS_DETAIL_MAX 1024

enum status_code {
    STATUS_OK = 0,
    STATUS_INVALID,     // the caller's or the user's input is wrong; trying again will not help
    STATUS_NOT_FOUND,   // a file, a key, a row is not there
    STATUS_DENIED,      // permission, credential or certificate refused
    STATUS_FULL,        // a bound was reached; room may come
    STATUS_IO,          // a system call failed
    STATUS_CORRUPT,     // stored data is damaged
    STATUS_TIMEOUT,     // a deadline passed
    STATUS_UNAVAILABLE, // a server cannot be reached or is not ready
    STATUS_BUSY,        // held by somebody else
    STATUS_INTERNAL,    // a fault of cxsink itself
};

struct status {
    enum status_code code;
    char detail[STATUS_DETAIL_MAX];
};

#define STATUS_MUST_CHECK __attribute__((warn_unused_result))

// Name of a code for logs and JSON ("invalid", "not_found", ...). Never NULL.
const char *status_code_name(enum status_code code);

// Sets code and sentence; returns the code, so that `return status_set(...)` reads well. `st` may
// be NULL when the caller does not want the sentence.
enum status_code status_set(struct status *st, enum status_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same, with ": " and strerror(error) appended.
enum status_code status_set_errno(struct status *st, enum status_code code, int error,
                                  const char *format, ...) __attribute__((format(printf, 4, 5)));

// Puts "context: " before the sentence that is there, keeping the code.
enum status_code status_prefix(struct status *st, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Empties it: STATUS_OK and "".
void status_clear(struct status *st);

#endif

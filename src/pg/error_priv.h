// SPDX-License-Identifier: Apache-2.0
// Errors of libpq as struct pg_error: a code to decide by, and words that hold no payload and no
// password.
#ifndef CXSINK_PG_ERROR_PRIV_H
#define CXSINK_PG_ERROR_PRIV_H

#include "pg/conn.h"

#include <libpq-fe.h>

void pg_error_from_result(const PGresult *result, struct pg_error *error_r);
// Of an attempt to connect whose verbosity was PQERRORS_VERBOSE: libpq hands the SQLSTATE of a
// server that refuses the session out in the text only, as "SEVERITY:  SQLSTATE: message".
void pg_error_from_connect(const char *text, struct pg_error *error_r);
// Of a connection that broke, with PQERRORS_SQLSTATE: its text may still hold an earlier
// statement's error, of which that verbosity leaves nothing but the code.
void pg_error_from_broken(const char *text, struct pg_error *error_r);
// One of our own.
void pg_error_set(struct pg_error *error_r, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// FATAL or PANIC: the server ends the session.
bool pg_error_is_fatal(const PGresult *result);

#endif

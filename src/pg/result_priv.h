// SPDX-License-Identifier: Apache-2.0
// struct pg_result is a PGresult; no other file knows.
#ifndef CXSINK_PG_RESULT_PRIV_H
#define CXSINK_PG_RESULT_PRIV_H

#include "pg/conn.h"

#include <libpq-fe.h>

static inline const struct pg_result *result_of(const PGresult *result)
{
    return (const struct pg_result *)result;
}

#endif

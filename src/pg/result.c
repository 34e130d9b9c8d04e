// SPDX-License-Identifier: Apache-2.0
#include "pg/conn.h"

#include <libpq-fe.h>
#include <stdlib.h>

static const PGresult *inside(const struct pg_result *result)
{
    return (const PGresult *)result;
}

int pg_result_rows(const struct pg_result *result)
{
    return PQntuples(inside(result));
}

int pg_result_columns(const struct pg_result *result)
{
    return PQnfields(inside(result));
}

const char *pg_result_text(const struct pg_result *result, int row, int column)
{
    return PQgetvalue(inside(result), row, column);
}

int pg_result_length(const struct pg_result *result, int row, int column)
{
    return PQgetlength(inside(result), row, column);
}

bool pg_result_is_null(const struct pg_result *result, int row, int column)
{
    return PQgetisnull(inside(result), row, column) != 0;
}

// libpq takes a result that it may change, but only reads these.
int64_t pg_result_affected(const struct pg_result *result)
{
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
}

const char *pg_result_tag(const struct pg_result *result)
{
    return PQcmdStatus((PGresult *)(uintptr_t)result);
}

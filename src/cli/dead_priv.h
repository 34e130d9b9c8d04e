// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink dead` share.
#ifndef CXSINK_CLI_DEAD_PRIV_H
#define CXSINK_CLI_DEAD_PRIV_H

#include "database.h"

struct dead_filter {
    const char *stream, *reason, *since, *until; // NULL: any
    bool replayed;                               // those that were replayed, too
    long long limit;                             // 0: the default
};

struct dead_request {
    const char *path; // of the configuration, as given
    const char *verb;
    char **ids;
    int n_ids;
    struct dead_filter filter;
    bool all, json;
};

// A " where ..." over $1 to $5, and those parameters.
const char *dead_filter_where(void);
void dead_filter_params(const struct dead_filter *filter, struct pg_param params[5]);

// The bytes of a payload that was selected as hex; to be freed.
char *dead_payload(const struct pg_result *result, int row, int column, size_t *length_r);

int dead_replay(struct database *db, const struct config *config,
                const struct dead_request *request);

#endif

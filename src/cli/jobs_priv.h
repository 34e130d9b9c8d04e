// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink jobs` share.
#ifndef CXSINK_CLI_JOBS_PRIV_H
#define CXSINK_CLI_JOBS_PRIV_H

#include "database.h"
#include "jobs/submission.h"

struct jobs_filter {
    const char *state, *action, *since, *until; // NULL: any
};

struct jobs_request {
    const char *path; // of the configuration, as given
    const char *verb;
    char **names; // ids; files of submit
    int n_names;
    struct jobs_filter filter;
    long long limit; // 0: the default
    int64_t timeout_us;
    bool all, json, wait, dry_run, stats, schedules;
};

// --- jobs.c --------------------------------------------------------------------------------------

// A " where ..." over $1 to $4, and those parameters.
const char *jobs_filter_where(void);
void jobs_filter_params(const struct jobs_filter *filter, struct pg_param params[4]);
// The names as a JSON array, for a parameter of json_array_elements_text(); in `out`.
struct pg_param jobs_names(char *const *names, size_t n, struct buf *out);
// A field shown plainly in `width` columns and one behind them; 0: as wide as it is, and a line's
// end.
void jobs_print_cell(const struct pg_result *result, int row, int column, int width);

// --- one file a verb; they return the exit code --------------------------------------------------

int jobs_list(struct database *db, const struct jobs_request *request);
int jobs_show(struct database *db, const struct jobs_request *request);
int jobs_cancel(struct database *db, const struct jobs_request *request);
int jobs_retry(struct database *db, const struct jobs_request *request);
int jobs_submit(const struct config *config, const struct jobs_request *request);

// --- parts of submit -----------------------------------------------------------------------------

// Prints the requests of these jobs, and sends none.
void jobs_dry_run(const struct config *config, const struct submissions *jobs, bool json);
// Puts all of them on the queue, prints their ids, and waits for them if asked to.
int jobs_queue(const struct config *config, const struct submissions *jobs,
               const struct jobs_request *request);
bool jobs_is_schedule(const struct submission *job);
// Waits until they are finished, through the database's restarts; tells which ended how.
int jobs_wait(struct database *db, const struct submissions *jobs,
              const struct jobs_request *request);

#endif

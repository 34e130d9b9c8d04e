// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink dead` share: dead.c has the options, dead_filter.c what they select,
// dead_show.c looks, dead_replay.c sends again, dead_purge.c deletes.
#ifndef CXSINK_CLI_DEAD_PRIV_H
#define CXSINK_CLI_DEAD_PRIV_H

#include "core/buf.h"
#include "database.h"
#include "ops/audit.h"

enum dead_which { DEAD_WAITING, DEAD_ANY, DEAD_REPLAYED };

struct dead_filter {
    const char *stream, *reason, *since, *until; // NULL: any
    char **ids;                                  // none: any
    int n_ids;
    enum dead_which which;
    long long limit; // 0: the default
};

struct dead_request {
    const char *path; // of the configuration, as given
    const char *verb;
    struct dead_filter filter;
    bool replayed, all, yes, dry_run, json;
};

// --- dead_filter.c -------------------------------------------------------------------------------

// The parameters of the " where ..." below, with room for those that follow them.
#define DEAD_PARAMS 6
struct dead_params {
    struct pg_param list[DEAD_PARAMS + 3];
    struct buf ids;
    char since[32], until[32]; // of those that were given as durations
};
const char *dead_where(void);
// What the parameters point to is the filter's and the struct's own.
void dead_params_init(struct dead_params *params, const struct dead_filter *filter);
void dead_params_deinit(struct dead_params *params);
// Whether the text is an id.
bool dead_is_id(const char *text);
// Whether anything but --limit narrows it.
bool dead_is_filtered(const struct dead_filter *filter);
// How many the filter selects (at most its limit), how many of them were never replayed, and the
// highest id.
struct dead_count {
    long long all, waiting, last_id;
};
bool dead_count(struct database *db, const struct dead_filter *filter, struct dead_count *count_r);

// Audits that something begins with what the filter selects, `count` dead letters; and what came of
// it: as many `done` (its name, and how many) and `other`.
void dead_audit_begin(struct audit *audit, const char *event, const struct dead_filter *filter,
                      const struct dead_count *count);
struct dead_figure {
    const char *name;
    long long value;
};
void dead_audit_end(struct audit *audit, const char *event, const struct dead_figure figures[2]);

// --- one function a verb; they return the exit code ----------------------------------------------

int dead_list(struct database *db, const struct dead_request *request);
int dead_show(struct database *db, const struct dead_request *request);
int dead_replay(struct database *db, const struct dead_request *request);
int dead_purge(struct database *db, const struct dead_request *request);

// --- what they share -----------------------------------------------------------------------------

// The bytes of a payload that was selected as hex; to be freed.
char *dead_payload(const struct pg_result *result, int row, int column, size_t *length_r);
// A line of progress on a terminal, drawn over the one before; nothing elsewhere. `more` is
// appended to it.
void dead_progress(const char *verb, long long done, long long all, const char *more);
void dead_progress_end(void);

#endif

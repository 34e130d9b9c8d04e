// SPDX-License-Identifier: Apache-2.0
// Jobs as people and programs hand them in: JSON objects that name an action and bring its
// parameters. Pure but for the files that an execute or publish job names.
#ifndef CXSINK_JOBS_SUBMISSION_H
#define CXSINK_JOBS_SUBMISSION_H

#include "jobs/kind.h"

struct config;

#define SUBMISSION_TEXT_MAX ((size_t)32 << 20) // bytes of one file of jobs

// One job, checked. Texts are owned.
struct submission {
    size_t place;      // in its text: index in the array, or line, from 0
    bool is_duplicate; // of an earlier one, and about to be dropped
    char *id;          // given, or made: a UUID
    bool has_id;
    size_t action; // index into config.jobs.actions
    // JSON object: the members that are not common to every job; paths are absolute, the code of a
    // code_file stands in "code", and base64 has no line ends.
    char *params;
    int priority;
    int64_t run_at_us; // wall clock; 0: at once
    int64_t every_us;  // 0: none
    char *cron;        // NULL: none
    char *time_zone;   // NULL: UTC
};

struct submissions {
    struct submission *items;
    size_t count;
    bool partial; // others were faulty: that one is not there says nothing
};

// Reads one job, an array of jobs, or NDJSON. `dir` is where relative paths of files start (NULL:
// they are faults). All faults of all jobs; their pointers begin with the job's place where there
// are several ("/3/inputs/a"; of NDJSON the line, counted from 0, of text as "/3"). True when there
// is none. STATUS_INVALID texts are one fault with pointer "" that says line and column.
bool submissions_parse(const struct config *config, const char *dir, const char *text,
                       size_t length, struct submissions *out_r, struct job_faults *faults);
// The same in steps, so that a text of many jobs holds no turn of a loop. `source` but for its own
// struct, `out` and `faults` are to live until submissions_close().
struct submissions_source {
    const struct config *config;
    const char *dir;
    const char *text;
    size_t length;
};
struct submissions_reader;
struct submissions_reader *submissions_open(const struct submissions_source *source,
                                            struct submissions *out, struct job_faults *faults);
// Reads so many more; true: there are others.
bool submissions_read(struct submissions_reader *reader, size_t jobs);
// What was read is the outcome, as that of submissions_parse().
bool submissions_close(struct submissions_reader **reader);
// The jobs of jobs.queue that have no fault; the pointers of faults begin with the job's place.
void submissions_parse_configured(const struct config *config, struct submissions *out_r,
                                  struct job_faults *faults);
void submissions_free(struct submissions *submissions);

// The same check for parameters that stand in the queue (queued by SQL, or by another
// configuration): the parameters alone.
void submission_check_params(const struct kind_context *context, struct job_faults *faults);

#endif

// SPDX-License-Identifier: Apache-2.0
// What the files of jobs/sandbox share.
#ifndef CXSINK_JOBS_SANDBOX_PRIV_H
#define CXSINK_JOBS_SANDBOX_PRIV_H

#include "jobs/sandbox.h"

#include <sys/types.h>

#define SANDBOX_HELPER "cxsink-jscheck"
#define SANDBOX_NEEDED \
    "publish needs " SANDBOX_HELPER ": install it or the package " SANDBOX_HELPER "; "

// Bytes that a helper may write; its verdict is one line, and shorter.
#define SANDBOX_ANSWER_MAX 4096

// A started helper. Descriptors are ours, non-blocking and close-on-exec, -1 when closed.
struct sandbox_process {
    pid_t pid;  // also its process group's
    int pidfd;  // readable when it has ended
    int input;  // takes the code
    int output; // its standard output and error
};

// STATUS_NOT_FOUND (no such program, or none that may be run) or STATUS_IO.
enum status_code sandbox_process_start(const char *path, bool module,
                                       struct sandbox_process *process_r,
                                       struct status *st) STATUS_MUST_CHECK;
// Kills the whole group; safe until it is reaped.
void sandbox_process_kill(const struct sandbox_process *process);
// Takes the exit status of one that has ended, or waits for its end, and closes the descriptors.
int sandbox_process_reap(struct sandbox_process *process);
// Bytes resident now, or false with errno.
bool sandbox_process_resident(const struct sandbox_process *process, size_t *bytes_r);

// What a helper that ended by itself, with `status` as of waitpid(2), has said.
void sandbox_judge(int status, const char *answer, size_t length,
                   struct sandbox_verdict *verdict_r);
// Sets result and message, without a line.
void sandbox_conclude(struct sandbox_verdict *verdict, enum sandbox_result result,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink validate` share. A checker goes through the lines of a part of an input
// and tells what is wrong, line by line counted from the part's first; the session knows which file
// and line that is, and prints it. With --jobs the checkers are in processes of their own.
#ifndef CXSINK_CLI_VALIDATE_PRIV_H
#define CXSINK_CLI_VALIDATE_PRIV_H

#include "core/buf.h"
#include "core/clock.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum validate_form {
    VALIDATE_TEXT,  // FILE:LINE: INSTANCE-POINTER: message (keyword at SCHEMA-POINTER)
    VALIDATE_JSON,  // an object a failure
    VALIDATE_BASIC, // an object a line, in the standard's "basic" form
};

struct validate_request {
    const char *schema_path;
    bool quiet;
    enum validate_form form;
    unsigned jobs;
    uint64_t max_line; // bytes, without the line's end
    struct schema_options options;
    struct schema_library *schemas; // what --ref and --ref-dir register
};

// --- validate_tell.c -----------------------------------------------------------------------------

// A failure, or (schema and location NULL) a fault of the line as such.
struct validate_fault {
    const char *instance, *schema, *location, *keyword, *message;
    const char *uri; // of the keyword; NULL: not known, or not needed
    unsigned beneath;
};

// Appends a member of a JSON object, with a comma where it is not the first; NULL becomes null.
void validate_append_member(struct buf *out, const char *name, const char *value);
// Appends what stands behind "FILE:LINE: "; with VALIDATE_JSON the last members of an object; with
// VALIDATE_BASIC an element of "errors".
void validate_append_fault(enum validate_form form, const struct validate_fault *fault,
                           struct buf *out);

// --- validate_lines.c ----------------------------------------------------------------------------

// A part of an input: the lines that start in it, read to their ends.
struct validate_part {
    int fd;
    bool seekable;       // read by offset
    bool continued;      // a line that started before may reach into it
    uint64_t start, end; // offsets; end UINT64_MAX: to the end of the input
};

struct validate_counts {
    uint64_t lines, invalid;
};

struct checker {
    const struct validate_request *request;
    const struct schema *schema;
    // Text as of validate_append_fault(), one line of output each.
    void (*tell)(void *owner, uint64_t line, const char *text, size_t length);
    // Now and then; `offset` is how far it has read. May be NULL.
    void (*progress)(void *owner, uint64_t offset);
    void *owner;
    bool stopped; // set to end it early
    struct validate_counts counts;
    struct tape tape;
    struct schema_error *errors;
    struct buf window, text, uri;
};

void checker_init(struct checker *checker, const struct validate_request *request,
                  const struct schema *schema);
void checker_deinit(struct checker *checker);
// Checks a part; `counts` are of this part alone. 0, or errno of a failed read.
int checker_run(struct checker *checker, const struct validate_part *part);

// --- validate_inputs.c ---------------------------------------------------------------------------

// What is known of a file before it is read.
struct validate_input {
    const char *path; // "-": standard input
    bool regular;
    uint64_t start, size; // offsets of the first byte, and behind the last one seen
    uint64_t n_parts;     // 1 where it cannot be divided
};

struct validate_inputs {
    size_t n;
    struct validate_input *list;
    uint64_t bytes;   // of all regular ones
    uint64_t n_parts; // of those
};

void validate_inputs_init(struct validate_inputs *inputs, size_t n, char **paths);
void validate_inputs_deinit(struct validate_inputs *inputs);
// The offset where its part `number` ends; of the last one, where the input did when looked at.
uint64_t validate_part_end(const struct validate_input *input, uint64_t number);
// Opens the input and describes its part `number`. -1 and errno when it cannot be opened.
int validate_part_open(const struct validate_input *input, uint64_t number,
                       struct validate_part *part_r);
void validate_part_close(const struct validate_input *input, struct validate_part *part);

// --- validate_jobs.c -----------------------------------------------------------------------------

// Processes that check the parts of regular files in turn, each every n-th.
struct validate_workers;

// What has become of a part.
struct validate_outcome {
    struct validate_counts counts;
    bool opened;
    int error; // errno; 0: all read
};

// NULL, after saying why, when no process can be started. `checker` is the model of theirs.
struct validate_workers *validate_workers_start(unsigned n, const struct checker *checker,
                                                const struct validate_inputs *inputs);
// Hands what is told of the next part, in the order of inputs and parts, to the checker's `tell`.
// False when the process that has it is dead, which is told on stderr.
bool validate_workers_next(struct validate_workers *workers, struct checker *checker,
                           struct validate_outcome *outcome_r);
// Ends them. False when one has failed, which is told; with `early` they are killed.
bool validate_workers_stop(struct validate_workers **workers, bool early);

// --- validate_files.c ----------------------------------------------------------------------------

// Validates the files (none: standard input); prints what is told. Returns the exit code.
int validate_files(const struct validate_request *request, const struct schema *schema, size_t n,
                   char **paths);

// --- validate_progress.c -------------------------------------------------------------------------

// A line on stderr, where that is a terminal. Zeros: none.
struct validate_progress {
    bool on, shown;
    struct mono started, next;
    uint64_t total; // bytes; 0: not known
};

void validate_progress_init(struct validate_progress *progress, uint64_t total);
void validate_progress_show(struct validate_progress *progress, uint64_t bytes,
                            const struct validate_counts *counts);
void validate_progress_wipe(struct validate_progress *progress);

#endif

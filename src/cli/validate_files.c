// SPDX-License-Identifier: Apache-2.0
// A run over all files, in their order: in this process, or divided among others.
#include "app/daemon.h"
#include "cli/common.h"
#include "cli/validate_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct session {
    const struct validate_request *request;
    struct checker checker;
    struct validate_inputs inputs;
    struct validate_workers *workers; // NULL: all is done here
    struct validate_progress progress;
    struct validate_counts total; // of the parts that are done
    uint64_t bytes;               // of the inputs that are done
    bool to_terminal;             // faults and progress may be on one screen
    int code;
    // Of the input being read.
    const struct validate_input *input;
    uint64_t lines;  // in front of the part
    bool failed;     // told
    struct buf head; // in front of the line's number
};

// --- printing ------------------------------------------------------------------------------------

static void print_told(void *owner, uint64_t line, const char *text, size_t length)
{
    struct session *session = owner;
    bool plain = session->request->form == VALIDATE_TEXT;

    if (session->to_terminal)
        validate_progress_wipe(&session->progress);
    fwrite(session->head.data, 1, session->head.len, stdout);
    printf("%" PRIu64 "%s", session->lines + line, plain ? ": " : ",");
    fwrite(text, 1, length, stdout);
    putchar('\n');
    if (ferror(stdout))
        session->checker.stopped = true;
}

static void show_progress(void *owner, uint64_t offset)
{
    struct session *session = owner;
    struct validate_counts counts = {session->total.lines + session->checker.counts.lines,
                                     session->total.invalid + session->checker.counts.invalid};

    validate_progress_show(&session->progress, session->bytes + offset - session->input->start,
                           &counts);
}

static void tell_unreadable(struct session *session, const char *what, int error)
{
    if (session->failed)
        return;
    validate_progress_wipe(&session->progress);
    fprintf(stderr, "cxsink validate: cannot %s %s: %s\n", what, session->input->path,
            strerror(error));
    session->failed = true;
    session->code = EXIT_WRONG_USAGE;
}

// --- inputs --------------------------------------------------------------------------------------

static void begin_input(struct session *session, const struct validate_input *input)
{
    struct buf *head = &session->head;

    session->input = input;
    session->lines = 0;
    session->failed = false;
    buf_clear(head);
    if (session->request->form == VALIDATE_TEXT) {
        cli_append_plain(head, input->path, strlen(input->path), false);
        buf_append_text(head, ":");
    } else {
        buf_append_text(head, "{");
        validate_append_member(head, "file", input->path);
        buf_append_text(head, ",\"line\":");
    }
}

static void end_part(struct session *session, const struct validate_outcome *outcome)
{
    session->lines += outcome->counts.lines;
    session->total.lines += outcome->counts.lines;
    session->total.invalid += outcome->counts.invalid;
    if (!outcome->opened)
        tell_unreadable(session, "open", outcome->error);
    else if (outcome->error != 0)
        tell_unreadable(session, "read", outcome->error);
    session->checker.stopped |= session->request->quiet && outcome->counts.invalid > 0;
}

static void check_here(struct session *session)
{
    struct validate_outcome outcome = {0};
    struct validate_part part;

    if (validate_part_open(session->input, 0, &part) != 0) {
        outcome.error = errno;
    } else {
        part.end = UINT64_MAX;
        outcome.opened = true;
        outcome.error = checker_run(&session->checker, &part);
        outcome.counts = session->checker.counts;
        validate_part_close(session->input, &part);
    }
    session->checker.counts = (struct validate_counts){0};
    end_part(session, &outcome);
}

static void check_by_workers(struct session *session)
{
    const struct validate_input *input = session->input;

    for (uint64_t i = 0; i < input->n_parts && !session->checker.stopped; i++) {
        struct validate_outcome outcome = {.opened = true};
        if (!validate_workers_next(session->workers, &session->checker, &outcome)) {
            session->code = EXIT_FAULT;
            session->checker.stopped = true;
            return;
        }
        end_part(session, &outcome);
        show_progress(session, validate_part_end(input, i));
    }
}

static void check_inputs(struct session *session)
{
    for (size_t i = 0; i < session->inputs.n && !session->checker.stopped; i++) {
        const struct validate_input *input = &session->inputs.list[i];
        begin_input(session, input);
        if (session->workers != NULL && input->regular)
            check_by_workers(session);
        else
            check_here(session);
        session->bytes += input->size - input->start;
    }
}

static bool start_workers(struct session *session)
{
    uint64_t n = session->request->jobs;

    if (n > session->inputs.n_parts)
        n = session->inputs.n_parts;
    if (n < 2)
        return true;
    session->workers = validate_workers_start((unsigned)n, &session->checker, &session->inputs);
    return session->workers != NULL;
}

// --- the whole -----------------------------------------------------------------------------------

static int exit_code(const struct session *session)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "cxsink validate: cannot write: %s\n", strerror(errno));
        return EXIT_FAULT;
    }
    if (session->code != EXIT_DONE)
        return session->code;
    return session->total.invalid > 0 ? EXIT_NO : EXIT_DONE;
}

int validate_files(const struct validate_request *request, const struct schema *schema, size_t n,
                   char **paths)
{
    struct session session = {.request = request, .code = EXIT_DONE};

    checker_init(&session.checker, request, schema);
    session.checker.tell = print_told;
    session.checker.progress = show_progress;
    session.checker.owner = &session;
    session.to_terminal = isatty(STDOUT_FILENO) == 1;
    validate_inputs_init(&session.inputs, n, paths);
    if (!request->quiet)
        validate_progress_init(&session.progress, session.inputs.bytes);
    if (start_workers(&session)) {
        check_inputs(&session);
        if (!validate_workers_stop(&session.workers, session.checker.stopped))
            session.code = EXIT_FAULT;
    } else {
        session.code = EXIT_FAULT;
    }
    validate_progress_wipe(&session.progress);
    if (session.progress.on)
        fprintf(stderr, "%" PRIu64 " lines, %" PRIu64 " invalid\n", session.total.lines,
                session.total.invalid);
    validate_inputs_deinit(&session.inputs);
    checker_deinit(&session.checker);
    buf_deinit(&session.head);
    return exit_code(&session);
}

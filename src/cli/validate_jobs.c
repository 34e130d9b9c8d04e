// SPDX-License-Identifier: Apache-2.0
// Worker processes. Each goes through the same list of parts and takes every n-th, so that nothing
// has to be handed out; what it tells comes through a pipe of its own, and the parts are read from
// the pipes in their order. A pipe that is full holds its worker.
#include "cli/validate_priv.h"
#include "core/fsio.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// What a worker keeps of a part's output before it waits for its turn.
#define OUTPUT_KEPT ((size_t)8 << 20)

enum record_kind { RECORD_TOLD, RECORD_END };

// In front of the text of a line, or the outcome of a part.
struct record {
    uint64_t line;
    uint32_t kind; // enum record_kind
    uint32_t length;
};

struct worker {
    pid_t pid;
    FILE *from;
};

struct validate_workers {
    size_t n;
    uint64_t next; // part
    struct buf text;
    struct worker list[];
};

// --- in the worker -------------------------------------------------------------------------------

struct outlet {
    int fd;
    struct buf kept;
};

static void send_kept(struct outlet *outlet)
{
    struct status st = {0};

    // Without its parent nobody wants to know.
    if (outlet->kept.len > 0 &&
        fsio_write_all(outlet->fd, outlet->kept.data, outlet->kept.len, &st) != STATUS_OK)
        _exit(1);
    buf_clear(&outlet->kept);
}

static void put_record(struct outlet *outlet, const struct record *record, const void *data)
{
    buf_append(&outlet->kept, record, sizeof(*record));
    buf_append(&outlet->kept, data, record->length);
    if (record->kind == RECORD_END || outlet->kept.len >= OUTPUT_KEPT)
        send_kept(outlet);
}

static void tell_parent(void *owner, uint64_t line, const char *text, size_t length)
{
    struct record record = {.line = line, .kind = RECORD_TOLD, .length = (uint32_t)length};

    put_record(owner, &record, text);
}

static void work_on(struct checker *checker, const struct validate_input *input, uint64_t number)
{
    struct validate_outcome outcome = {0};
    struct validate_part part;

    if (validate_part_open(input, number, &part) == 0) {
        outcome.opened = true;
        outcome.error = checker_run(checker, &part);
        outcome.counts = checker->counts;
        validate_part_close(input, &part);
    } else {
        outcome.error = errno;
    }
    struct record end = {.kind = RECORD_END, .length = sizeof(outcome)};
    put_record(checker->owner, &end, &outcome);
}

static void work(const struct checker *model, const struct validate_inputs *inputs, size_t number,
                 size_t n, int fd)
{
    struct outlet outlet = {.fd = fd};
    struct checker checker;
    uint64_t turn = 0;

    checker_init(&checker, model->request, model->schema);
    checker.tell = tell_parent;
    checker.owner = &outlet;
    for (size_t i = 0; i < inputs->n; i++)
        for (uint64_t k = 0; inputs->list[i].regular && k < inputs->list[i].n_parts; k++)
            if (turn++ % n == number && !checker.stopped)
                work_on(&checker, &inputs->list[i], k);
    checker_deinit(&checker);
    buf_deinit(&outlet.kept);
}

// --- in the parent -------------------------------------------------------------------------------

static bool start_worker(struct validate_workers *workers, const struct checker *model,
                         const struct validate_inputs *inputs, size_t n)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    if (pid == 0) {
        close(ends[0]);
        for (size_t i = 0; i < workers->n; i++)
            close(fileno(workers->list[i].from));
        signal(SIGPIPE, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            work(model, inputs, workers->n, n, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    workers->list[workers->n++] = (struct worker){.pid = pid, .from = fdopen(ends[0], "r")};
    return true;
}

struct validate_workers *validate_workers_start(unsigned n, const struct checker *checker,
                                                const struct validate_inputs *inputs)
{
    struct validate_workers *workers = mem_zalloc(sizeof(*workers) + n * sizeof(workers->list[0]));

    fflush(stdout);
    while (workers->n < n) {
        if (!start_worker(workers, checker, inputs, n)) {
            fprintf(stderr, "cxsink validate: cannot start a process: %s\n", strerror(errno));
            validate_workers_stop(&workers, true);
            return NULL;
        }
    }
    return workers;
}

// Waits for its end. False when that was not as it should be, which is told.
static bool reap(struct worker *worker)
{
    int how = 0;

    while (waitpid(worker->pid, &how, 0) < 0 && errno == EINTR) {
    }
    bool well = WIFEXITED(how) && WEXITSTATUS(how) == 0;
    if (WIFSIGNALED(how))
        fprintf(stderr, "cxsink validate: process %ld was ended by signal %d (%s)\n",
                (long)worker->pid, WTERMSIG(how), strsignal(WTERMSIG(how)));
    else if (!well)
        fprintf(stderr, "cxsink validate: process %ld has failed\n", (long)worker->pid);
    worker->pid = 0;
    return well;
}

static bool take(FILE *from, void *data, size_t length)
{
    return fread(data, 1, length, from) == length;
}

// One line, or the end of the part. False when the pipe has ended.
static bool next_record(struct worker *worker, struct buf *text, struct checker *checker,
                        struct validate_outcome *outcome_r, bool *at_end_r)
{
    struct record record;

    if (!take(worker->from, &record, sizeof(record)))
        return false;
    *at_end_r = record.kind == RECORD_END;
    if (*at_end_r)
        return take(worker->from, outcome_r, sizeof(*outcome_r));
    buf_clear(text);
    if (!take(worker->from, buf_reserve(text, record.length), record.length))
        return false;
    checker->tell(checker->owner, record.line, text->data, record.length);
    return true;
}

bool validate_workers_next(struct validate_workers *workers, struct checker *checker,
                           struct validate_outcome *outcome_r)
{
    struct worker *worker = &workers->list[workers->next++ % workers->n];
    bool at_end = false;

    while (!at_end && !checker->stopped) {
        if (next_record(worker, &workers->text, checker, outcome_r, &at_end))
            continue;
        reap(worker);
        fprintf(stderr, "cxsink validate: its part was not checked, so there is no answer\n");
        return false;
    }
    return true;
}

bool validate_workers_stop(struct validate_workers **workers, bool early)
{
    bool well = true;

    if (*workers == NULL)
        return true;
    for (size_t i = 0; i < (*workers)->n; i++) {
        struct worker *worker = &(*workers)->list[i];
        fclose(worker->from);
        if (worker->pid == 0)
            continue;
        if (early) {
            kill(worker->pid, SIGKILL);
            waitpid(worker->pid, NULL, 0);
        } else {
            well &= reap(worker);
        }
    }
    buf_deinit(&(*workers)->text);
    free(*workers);
    *workers = NULL;
    return well;
}

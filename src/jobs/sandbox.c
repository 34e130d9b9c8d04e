// SPDX-License-Identifier: Apache-2.0
// Structure: a struct sandbox holds its checks in a list, those that were cancelled until their
// helper has been reaped. A check that could not be started has no process and waits for its post.
#include "jobs/sandbox.h"

#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs/sandbox_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_US (20 * US_PER_MS)

struct sandbox_check {
    struct sandbox *sandbox;
    struct sandbox_check *previous, *next;
    struct sandbox_check **handle; // the caller's; may be NULL
    sandbox_fn fn;                 // NULL: cancelled
    void *owner;
    struct sandbox_process process; // pid 0: none
    struct loop_watch *input, *output, *end;
    struct timer look;
    struct mono started;
    bool killed; // for what the verdict says
    struct buf code, answer;
    size_t sent;
    struct sandbox_verdict verdict;
};

struct sandbox {
    struct loop *loop;
    char *helper; // NULL: looked for
    int64_t timeout_us;
    size_t resident_max;
    struct sandbox_check *checks;
};

// --- ends of a check ---

static void detach(struct sandbox_check *check)
{
    if (check->handle != NULL)
        *check->handle = NULL;
    check->handle = NULL;
    check->fn = NULL;
}

static void check_free(struct sandbox_check *check)
{
    detach(check);
    if (check->previous != NULL)
        check->previous->next = check->next;
    else
        check->sandbox->checks = check->next;
    if (check->next != NULL)
        check->next->previous = check->previous;
    timer_stop(&check->look);
    loop_unwatch(&check->input);
    loop_unwatch(&check->output);
    loop_unwatch(&check->end);
    if (check->process.pid != 0)
        sandbox_process_reap(&check->process);
    loop_unpost(check->sandbox->loop, check);
    buf_deinit(&check->code);
    buf_deinit(&check->answer);
    free(check);
}

static void deliver(void *owner)
{
    struct sandbox_check *check = owner;
    struct sandbox_verdict verdict = check->verdict;
    sandbox_fn fn = check->fn;
    void *fn_owner = check->owner;
    verdict.elapsed_us = mono_diff(loop_now(check->sandbox->loop), check->started);
    check_free(check);
    if (fn != NULL)
        fn(fn_owner, &verdict);
}

static void kill_helper(struct sandbox_check *check)
{
    check->killed = true;
    timer_stop(&check->look);
    loop_unwatch(&check->input);
    loop_unwatch(&check->output);
    sandbox_process_kill(&check->process);
}

// --- the helper's pipes, end and limits ---

static void on_input(void *owner, unsigned events)
{
    (void)events;
    struct sandbox_check *check = owner;
    while (check->sent < check->code.len) {
        ssize_t n = write(check->process.input, check->code.data + check->sent,
                          check->code.len - check->sent);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) // it needs no more: its end tells why
            break;
        check->sent += (size_t)n;
    }
    loop_unwatch(&check->input);
    close(check->process.input);
    check->process.input = -1;
}

// Reads what is there; false at the end of the answer.
static bool read_answer(struct sandbox_check *check)
{
    for (;;) {
        char *at = buf_reserve(&check->answer, 1);
        if (at == NULL)
            return true;
        ssize_t n = read(check->process.output, at, check->answer.cap - check->answer.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        check->answer.len += (size_t)n;
    }
}

static void on_output(void *owner, unsigned events)
{
    (void)events;
    struct sandbox_check *check = owner;
    if (!read_answer(check))
        loop_unwatch(&check->output);
    if (check->answer.len < check->answer.max)
        return;
    sandbox_conclude(&check->verdict, SANDBOX_CRASHED,
                     "cxsink-jscheck gave no verdict: it wrote more than %d bytes",
                     SANDBOX_ANSWER_MAX);
    kill_helper(check);
}

static void on_end(void *owner, unsigned events)
{
    (void)events;
    struct sandbox_check *check = owner;
    if (!check->killed)
        read_answer(check);
    // Before it is reaped, while the number of its group is taken.
    sandbox_process_kill(&check->process);
    int status = sandbox_process_reap(&check->process);
    check->process.pid = 0;
    if (!check->killed)
        sandbox_judge(status, check->answer.data, check->answer.len, &check->verdict);
    deliver(check);
}

static void look(void *owner)
{
    struct sandbox_check *check = owner;
    const struct sandbox *sandbox = check->sandbox;
    size_t resident;
    if (!sandbox_process_resident(&check->process, &resident))
        sandbox_conclude(&check->verdict, SANDBOX_CRASHED,
                         "cannot watch the memory of cxsink-jscheck: %s", strerror(errno));
    else if (resident > sandbox->resident_max)
        sandbox_conclude(&check->verdict, SANDBOX_MEMORY,
                         "checking the code took more than %zu MiB of memory",
                         sandbox->resident_max >> 20);
    else if (mono_diff(loop_now(sandbox->loop), check->started) >= sandbox->timeout_us)
        sandbox_conclude(&check->verdict, SANDBOX_TIMEOUT,
                         "checking the code took longer than %g s",
                         (double)sandbox->timeout_us / US_PER_S);
    else
        return;
    kill_helper(check);
}

// --- starts ---

static bool watch_helper(struct sandbox_check *check, struct status *st)
{
    struct loop *loop = check->sandbox->loop;
    const struct sandbox_process *process = &check->process;
    check->end = loop_watch(loop, process->pidfd, LOOP_READ, on_end, check, st);
    if (check->end == NULL)
        return false;
    check->output = loop_watch(loop, process->output, LOOP_READ, on_output, check, st);
    if (check->output == NULL)
        return false;
    check->input = loop_watch(loop, process->input, LOOP_WRITE, on_input, check, st);
    if (check->input == NULL)
        return false;
    timer_start_periodic(&check->look, LOOK_EVERY_US);
    return true;
}

static void start_helper(struct sandbox_check *check, const char *path, bool module)
{
    struct status st;
    enum status_code code = sandbox_process_start(path, module, &check->process, &st);
    if (code != STATUS_OK) {
        check->process.pid = 0;
        sandbox_conclude(&check->verdict,
                         code == STATUS_NOT_FOUND ? SANDBOX_MISSING : SANDBOX_CRASHED, "%s",
                         st.detail);
        loop_post(check->sandbox->loop, deliver, check);
    } else if (!watch_helper(check, &st)) {
        sandbox_conclude(&check->verdict, SANDBOX_CRASHED, "%s", st.detail);
        kill_helper(check);
        loop_post(check->sandbox->loop, deliver, check);
    }
}

static void find_and_start(struct sandbox_check *check, bool module)
{
    const struct sandbox *sandbox = check->sandbox;
    struct buf found = {0};
    struct status st;
    if (sandbox->helper != NULL) {
        start_helper(check, sandbox->helper, module);
    } else if (sandbox_find(&found, &st) == STATUS_OK) {
        start_helper(check, buf_text(&found), module);
    } else {
        sandbox_conclude(&check->verdict, SANDBOX_MISSING, "%s", st.detail);
        loop_post(sandbox->loop, deliver, check);
    }
    buf_deinit(&found);
}

static struct sandbox_check *check_new(struct sandbox *sandbox)
{
    struct sandbox_check *check = mem_zalloc(sizeof(*check));
    check->sandbox = sandbox;
    check->next = sandbox->checks;
    if (check->next != NULL)
        check->next->previous = check;
    sandbox->checks = check;
    check->started = loop_now(sandbox->loop);
    check->answer.max = SANDBOX_ANSWER_MAX;
    timer_init(&check->look, sandbox->loop, "sandbox look", look, check);
    return check;
}

void sandbox_check_start(struct sandbox *sandbox, const char *code, size_t length, bool module,
                         sandbox_fn fn, void *owner, struct sandbox_check **check_r)
{
    struct sandbox_check *check = check_new(sandbox);
    check->fn = fn;
    check->owner = owner;
    check->handle = check_r;
    if (check_r != NULL)
        *check_r = check;
    if (length > SANDBOX_CODE_MAX) {
        sandbox_conclude(&check->verdict, SANDBOX_REFUSED, "the code is larger than 1 MiB");
        loop_post(sandbox->loop, deliver, check);
        return;
    }
    buf_append(&check->code, code, length);
    find_and_start(check, module);
}

void sandbox_check_cancel(struct sandbox_check **check_r)
{
    struct sandbox_check *check = *check_r;
    if (check == NULL)
        return;
    *check_r = NULL;
    detach(check);
    if (check->process.pid == 0)
        check_free(check);
    else if (!check->killed)
        kill_helper(check);
}

// --- life ---

struct sandbox *sandbox_create(struct loop *loop, const struct sandbox_options *options)
{
    static const struct sandbox_options defaults = {0};
    const struct sandbox_options *o = options != NULL ? options : &defaults;
    struct sandbox *sandbox = mem_zalloc(sizeof(*sandbox));
    sandbox->loop = loop;
    sandbox->helper = o->helper != NULL ? mem_strdup(o->helper) : NULL;
    sandbox->timeout_us = o->timeout_us != 0 ? o->timeout_us : SANDBOX_TIMEOUT_US;
    sandbox->resident_max = o->resident_max != 0 ? o->resident_max : SANDBOX_RESIDENT_MAX;
    return sandbox;
}

void sandbox_destroy(struct sandbox **pointer)
{
    struct sandbox *sandbox = *pointer;
    if (sandbox == NULL)
        return;
    *pointer = NULL;
    while (sandbox->checks != NULL) {
        if (sandbox->checks->process.pid != 0)
            sandbox_process_kill(&sandbox->checks->process);
        check_free(sandbox->checks);
    }
    free(sandbox->helper);
    free(sandbox);
}

// SPDX-License-Identifier: Apache-2.0
// One leased job: its life, and the operations of its kind's machine one after the other.
#include "core/mem.h"
#include "jobs_priv.h"
#include "payload_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Between two looks at a lock that another job holds.
#define LOCK_RETRY_US (2 * US_PER_S)
// Each check of code may take its 256 MiB.
#define CHECKS_MAX 2
#define CHECK_WAIT_US (20 * US_PER_MS)

static const char *const state_names[] = {
#define RUN_STATE_NAME(identifier, name, sentence) name,
    RUN_STATES(RUN_STATE_NAME)
#undef RUN_STATE_NAME
};

void run_set_state(struct run *run, enum run_state state)
{
    struct log_fields fields = run_log(run);
    log_debug(&fields, "job %s, step \"%s\": %s -> %s", run->job->id, run->job->step,
              state_names[run->state], state_names[state]);
    if (state == RUN_ENDING && run->state != RUN_ENDING) {
        run->jobs->leased--;
        run->api->leased--;
        run->jobs->at_work -= run->counted;
        run->api->ended += run->sent;
        run->counted = false;
        jobs_fill_soon(run->jobs);
    }
    run->state = state;
}

struct log_fields run_log(const struct run *run)
{
    return (struct log_fields){.job = run->job->id, .trace_id = run->job->trace_id};
}

struct run *run_find(const struct jobs *jobs, const char *id)
{
    for (struct run *run = jobs->runs; run != NULL; run = run->next) {
        if (strcmp(run->job->id, id) == 0)
            return run;
    }
    return NULL;
}

const struct kind_context *run_context(struct run *run, struct kind_context *context)
{
    *context = (struct kind_context){.action = run->action,
                                     .params = &run->params,
                                     .wall_us = loop_wall_us(run->jobs->loop),
                                     .data = run->job->data.length > 0 ? &run->job->data : NULL};
    return context;
}

// --- life ---

static void do_operation(struct run *run);

static void held_enough(void *owner)
{
    do_operation(owner);
}

static struct run *create(struct jobs *jobs, struct job *job, const struct config_action *action)
{
    struct run *run = mem_zalloc(sizeof(*run));
    run->jobs = jobs;
    run->job = job;
    run->config = config_ref_take(jobs->config);
    run->action = action;
    run->kind = job_kind(action->kind);
    run->api = api_find(jobs, api_config(run)->name);
    run->api->runs++;
    run->api->leased++;
    tape_init(&run->params, 0);
    timer_init(&run->timer, jobs->loop, "job", held_enough, run);
    run->next = jobs->runs;
    if (run->next != NULL)
        run->next->previous = run;
    jobs->runs = run;
    jobs->leased++;
    return run;
}

static void stop_checking(struct run *run)
{
    run->jobs->checks -= run->check != NULL;
    sandbox_check_cancel(&run->check);
}

static void stop_operation(struct run *run)
{
    timer_stop(&run->timer);
    run_stop_sending(run);
    stop_checking(run);
    run_stop_keeping(run);
}

void run_drop(struct run *run)
{
    if (run->state != RUN_ENDING)
        run_set_state(run, RUN_ENDING);
    stop_operation(run);
    queue_forget(run->jobs->queue, run);
    if (run->previous != NULL)
        run->previous->next = run->next;
    else
        run->jobs->runs = run->next;
    if (run->next != NULL)
        run->next->previous = run->previous;
    run_free_attempts(run);
    job_op_deinit(&run->op);
    tape_deinit(&run->params);
    job_free(&run->job);
    api_release(&run->api);
    jobs_fill_soon(run->jobs); // its API takes another one now
    config_ref_drop(&run->config);
    loop_defer_free(run->jobs->loop, run, NULL);
}

// --- a new lease ---

static void cancel_now(struct run *run);
static bool undoes(struct run *run, const char *why);

static void fail_with_faults(struct run *run, const struct job_faults *faults)
{
    struct buf *out = &run->op.result;
    buf_append_text(out,
                    "{\"message\":\"the parameters are faulty; nothing was sent\",\"faults\":[");
    for (size_t i = 0; i < faults->count; i++) {
        buf_append_text(out, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
        buf_json_string(out, faults->items[i].pointer, strlen(faults->items[i].pointer));
        buf_append_text(out, ",\"message\":");
        buf_json_string(out, faults->items[i].message, strlen(faults->items[i].message));
        buf_append_text(out, "}");
    }
    buf_append_text(out, "]}");
    run_finish(run, JOB_FAILED);
}

// What was queued by SQL, or for another configuration, was not looked at before. What has begun
// goes on.
static bool check_params(struct run *run)
{
    struct job_faults faults = {0};
    struct kind_context context;
    if (run->job->step[0] != '\0')
        return true;
    submission_check_params(run_context(run, &context), &faults);
    bool ok = faults.count == 0;
    if (!ok)
        fail_with_faults(run, &faults);
    job_faults_free(&faults);
    return ok;
}

void run_begin(struct jobs *jobs, struct job *job)
{
    const struct config_action *action = jobs_find_action(jobs, job->action);
    if (action == NULL) { // a reload took it away while it was being leased
        struct queue_save save = {.job = job, .lease = QUEUE_RELEASE, .refund = true};
        job->state = job->state == JOB_RUNNING ? JOB_QUEUED : job->state;
        queue_save(jobs->queue, &save, NULL, NULL);
        job_free(&job);
        return;
    }
    // Of the others, whoever queued them said so.
    if (job->is_new && (strcmp(job->source, "sql") == 0 || job->lease > 1))
        announce_queued(jobs, job->id, job->action, job->lease > 1 ? "retry" : job->source);
    create(jobs, job, action);
    jobs_fill_soon(jobs);
}

static bool at_end(struct run *run)
{
    struct kind_context context;
    run->kind->plan(run->job, run_context(run, &context), &run->op);
    bool ends = run->op.type == JOB_OP_SUCCEED || run->op.type == JOB_OP_FAIL;
    job_op_deinit(&run->op);
    return ends;
}

// Its workers die, and it may be what kills them: it only ends, and undoes what must be undone.
static bool is_given_up(struct run *run)
{
    const char *undo_step = run->kind->undo_step;
    if (run->job->lease_losses < JOB_LEASE_LOSSES_MAX)
        return false;
    return (undo_step == NULL || strcmp(run->job->step, undo_step) != 0) && !at_end(run);
}

static void give_up(struct run *run)
{
    const struct job *job = run->job;
    char message[160];
    char where[JOB_STEP_SIZE + 16];
    snprintf(where, sizeof(where), job->step[0] == '\0' ? "at its beginning" : "in step \"%s\"",
             job->step);
    snprintf(message, sizeof(message),
             "given up: %u workers died while they held it, the last one %s", job->lease_losses,
             where);
    if (undoes(run, message))
        return;
    buf_append_text(&run->op.result, "{\"outcome\":\"unknown\",\"message\":");
    buf_json_string(&run->op.result, message, strlen(message));
    buf_append_text(&run->op.result, "}");
    run_finish(run, JOB_FAILED);
}

static void begin(struct run *run)
{
    if (!tape_parse(&run->params, run->job->params, run->job->params_length)) {
        buf_printf(&run->op.result, "{\"message\":\"the parameters are no JSON: %s\"}",
                   run->params.error_message);
        run_finish(run, JOB_FAILED);
        return;
    }
    run->cancel = run->job->cancel_requested;
    if (!run->cancel && is_given_up(run)) {
        give_up(run);
        return;
    }
    if (!check_params(run))
        return;
    if (run->job->step[0] == '\0')
        snprintf(run->job->step, sizeof(run->job->step), "%s", run->kind->steps[0]);
    if (run->job->state == JOB_RUNNING)
        jobs_audit(run, "job.running", NULL, 0, -1);
    if (run->cancel)
        cancel_now(run);
    else
        run_step(run);
}

static void on_loaded(void *owner, enum status_code code)
{
    struct run *run = owner;
    if (code != STATUS_OK)
        run_drop(run);
    else if (run->state == RUN_LOADING)
        begin(run);
}

void run_start(struct run *run)
{
    run->counted = true;
    run->jobs->at_work++;
    if (!job_is_partial(run->job)) {
        begin(run);
        return;
    }
    run_set_state(run, RUN_LOADING);
    queue_load(run->jobs->queue, run->job, on_loaded, run);
}

// --- operations ---

static void on_code_checked(void *owner, const struct sandbox_verdict *verdict)
{
    struct run *run = owner;
    struct job_answer answer = {.type = JOB_ANSWER_CODE,
                                .body = "",
                                .ok = verdict->result == SANDBOX_OK,
                                .line = verdict->line,
                                .message = verdict->message,
                                .elapsed_us = verdict->elapsed_us};
    run->jobs->checks--;
    if (sandbox_result_final(verdict->result))
        run_answer(run, &answer);
    else // it says nothing about the code: the helper is missing, or was killed
        run_retry(run, verdict->message);
}

static void check_code(struct run *run)
{
    struct jobs *jobs = run->jobs;
    if (jobs->checks >= CHECKS_MAX) {
        run_set_state(run, RUN_HELD);
        timer_start(&run->timer, CHECK_WAIT_US);
        return;
    }
    jobs->checks++;
    run_set_state(run, RUN_CHECKING);
    sandbox_check_start(jobs->sandbox, run->op.code, run->op.code_length, run->op.module,
                        on_code_checked, run, &run->check);
}

static void on_lock(void *owner, enum status_code code, const char *holder)
{
    struct run *run = owner;
    if (code == STATUS_BUSY && holder == NULL) // another daemon has the job, as `lost` will say
        return;
    if (code == STATUS_BUSY && !run->op.fail_if_held) {
        int64_t delay = run->op.delay_us > 0 ? run->op.delay_us : LOCK_RETRY_US;
        run_release(run, delay, "another job holds its lock");
        return;
    }
    struct job_answer answer = {
        .type = JOB_ANSWER_LOCK, .body = "", .ok = code == STATUS_OK, .message = holder};
    run_answer(run, &answer);
}

static void take_lock(struct run *run)
{
    run_set_state(run, RUN_LOCKING);
    queue_lock(run->jobs->queue, run->job->id, buf_text(&run->op.key), on_lock, run);
}

static void wait_for_far_side(struct run *run)
{
    bool first = run->job->state != JOB_POLLING;
    run->job->state = JOB_POLLING;
    if (first)
        jobs_audit(run, "job.polling", NULL, 0, -1);
    run_release(run, run->op.delay_us, NULL);
}

static void do_operation(struct run *run)
{
    switch (run->op.type) {
    case JOB_OP_SEND:
        run_send(run);
        break;
    case JOB_OP_WAIT:
        wait_for_far_side(run);
        break;
    case JOB_OP_CHECK_CODE:
        check_code(run);
        break;
    case JOB_OP_LOCK:
        take_lock(run);
        break;
    case JOB_OP_STORE:
        run_keep(run);
        break;
    case JOB_OP_SUCCEED:
        run_finish(run, JOB_SUCCEEDED);
        break;
    case JOB_OP_FAIL:
        run_finish(run, run->cancel ? JOB_CANCELLED : JOB_FAILED);
        break;
    }
}

void run_step(struct run *run)
{
    struct kind_context context;
    job_op_deinit(&run->op);
    run->reauthorized = false;
    run->kind->plan(run->job, run_context(run, &context), &run->op);
    bool is_end = run->op.type == JOB_OP_SUCCEED || run->op.type == JOB_OP_FAIL;
    bool stores_itself = is_end || run->op.type == JOB_OP_WAIT;
    if (run->op.idempotency_key[0] != '\0')
        jobs_audit(run, "job.restoring", NULL, 0, -1);
    if (run->jobs->stopping && !is_end) {
        run_release(run, 0, NULL);
    } else if (run->dirty && !stores_itself && run->op.effect) {
        run_store(run); // and goes on with the operation
    } else {
        if (run->effect_done && !stores_itself) // a read need not wait for it
            run_note(run);
        do_operation(run);
    }
}

void run_stored(struct run *run)
{
    if (run->cancel && !run->undoing)
        cancel_now(run);
    else if (run->jobs->stopping)
        run_release(run, 0, NULL);
    else
        do_operation(run);
}

void run_answer(struct run *run, const struct job_answer *answer)
{
    struct job_verdict verdict = {0};
    struct kind_context context;
    char step[JOB_STEP_SIZE];
    memcpy(step, run->job->step, sizeof(step));
    run->effect_done |= run->op.effect;
    run->kind->take(run->job, run_context(run, &context), answer, &verdict);
    run->dirty = true;
    if (strcmp(step, run->job->step) != 0)
        run->job->failures = run->job->sent_before = 0; // each step has its own
    if (run->cancel && !run->undoing)
        cancel_now(run);
    else if (verdict.type == JOB_RETRY)
        run_retry(run, verdict.message);
    else
        run_step(run);
}

// --- cancelling ---

// False: there is nothing to undo.
static bool undoes(struct run *run, const char *why)
{
    struct job_answer answer = {.type = JOB_ANSWER_UNDO, .body = "", .message = why};
    if (run->kind->must_undo == NULL || !run->kind->must_undo(run->job))
        return false;
    run->undoing = true;
    run_answer(run, &answer);
    return true;
}

static void cancel_now(struct run *run)
{
    stop_operation(run);
    if (undoes(run, "cancelled"))
        return;
    buf_clear(&run->op.result);
    buf_append_text(&run->op.result, "{\"message\":\"cancelled\"}");
    run_finish(run, JOB_CANCELLED);
}

void run_cancel(struct run *run)
{
    run->cancel = run->job->cancel_requested = true;
    switch (run->state) {
    case RUN_READY: // taken up when it begins
    case RUN_LOADING:
    case RUN_STORING: // when the database has answered
    case RUN_LOCKING:
    case RUN_ENDING: // what is decided is decided; the next lease takes it up
        return;
    case RUN_SENDING: // what an effect came to must be known before it is undone
        if (run->op.effect && run->kind->must_undo != NULL && run->kind->must_undo(run->job))
            return;
        break;
    default:
        break;
    }
    cancel_now(run);
}

// --- reload and end ---

void run_reload(struct run *run)
{
    if (run->state == RUN_TOKEN && run->waiter == NULL)
        run_send(run);
}

void run_leave(struct run *run)
{
    if (run->state == RUN_ENDING) // is being stored
        return;
    if (run->request != NULL)
        run_record_cut(run);
    stop_operation(run);
    queue_forget(run->jobs->queue, run);
    run_release(run, 0, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// What a run stores of its job: the record before the next operation, its way back to the queue,
// its end.
#include "core/mem.h"
#include "jobs_priv.h"
#include "json/lookup.h"
#include "core/log_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- history ---

void run_record(struct run *run, const struct http_response *response)
{
    const char *error = response->code == STATUS_OK ? NULL : response->detail;
    run->job->sent_before |= response->sent;
    if (run->n_attempts == RUN_ATTEMPTS)
        return;
    run->attempts[run->n_attempts++] =
        (struct queue_attempt){.at_us = loop_wall_us(run->jobs->loop) - response->elapsed_us,
                               .step = mem_strdup(run->job->step),
                               .status = response->status,
                               .error = error != NULL ? mem_strdup(error) : NULL,
                               .sent = response->sent,
                               .latency_us = response->elapsed_us};
}

void run_record_cut(struct run *run)
{
    struct http_response response = {.code = STATUS_UNAVAILABLE, .sent = true};
    snprintf(response.detail, sizeof(response.detail), "the daemon stopped before its answer came");
    run_record(run, &response);
}

void run_free_attempts(struct run *run)
{
    for (size_t i = 0; i < run->n_attempts; i++) {
        free((char *)run->attempts[i].step);
        free((char *)run->attempts[i].error);
    }
    run->n_attempts = 0;
}

static void save(struct run *run, struct queue_save *what, queue_fn fn)
{
    what->job = run->job;
    what->attempts = run->attempts;
    what->n_attempts = run->n_attempts;
    queue_save(run->jobs->queue, what, fn, run);
    run_free_attempts(run);
}

// --- before the next operation ---

static void on_stored(void *owner, enum status_code code)
{
    struct run *run = owner;
    if (code != STATUS_OK) { // somebody else has the job now
        run_drop(run);
        return;
    }
    run->dirty = run->effect_done = false;
    run_stored(run);
}

void run_store(struct run *run)
{
    struct queue_save what = {.lease = QUEUE_KEEP};
    run_set_state(run, RUN_STORING);
    save(run, &what, on_stored);
}

static void on_noted(void *owner, enum status_code code)
{
    if (code != STATUS_OK)
        run_drop(owner);
}

void run_note(struct run *run)
{
    struct queue_save what = {.lease = QUEUE_KEEP};
    run->dirty = run->effect_done = false;
    save(run, &what, on_noted);
}

// --- leaving ---

static void on_left(void *owner, enum status_code code)
{
    (void)code; // a lost lease: whoever has the job now ends it
    run_drop(owner);
}

void run_release(struct run *run, int64_t delay_us, const char *why)
{
    struct job *job = run->job;
    struct queue_save what = {.lease = QUEUE_RELEASE,
                              .delay_us = delay_us,
                              .refund = !run->sent && job->state == JOB_RUNNING};
    struct log_fields fields = run_log(run);
    if (why != NULL && delay_us > 0)
        log_info(&fields, "job %s (%s): %s; again in %.1f s", job->id, job->action, why,
                 (double)delay_us / 1e6);
    else if (why != NULL)
        log_info(&fields, "job %s (%s): %s; it waits in the queue", job->id, job->action, why);
    if (why != NULL && run->sent)
        jobs_audit(run, "job.retry", why, run->status, -1);
    if (job->state == JOB_RUNNING)
        job->state = JOB_QUEUED;
    run_set_state(run, RUN_ENDING);
    save(run, &what, on_left);
}

static void count(const struct job *job, int64_t took_us)
{
    struct metric_series *seconds = metric_series(METRIC_JOB_SECONDS, job->action, NULL);
    metric_add(metric_series(METRIC_JOBS_FINISHED, job->action, job_state_name(job->state)), 1);
    if (job->lease > 0) // it had begun
        metric_observe(METRIC_JOB_SECONDS, seconds, (double)took_us / 1e6, 1);
}

// The sentence in {"message": "..."}; NULL: there is none. Owned.
static char *message_of(const char *error)
{
    struct tape tape;
    char *text = NULL;
    tape_init(&tape, 0);
    if (tape_parse(&tape, error, strlen(error)))
        text = lookup_text(&tape, lookup_member(&tape, 0, "message"));
    tape_deinit(&tape);
    return text;
}

void jobs_tell_end(struct jobs *jobs, const struct job *job, const char *kind, int status,
                   const char *error)
{
    static const char *const events[JOB_STATE_COUNT] = {[JOB_SUCCEEDED] = "job.succeeded",
                                                        [JOB_FAILED] = "job.failed",
                                                        [JOB_CANCELLED] = "job.cancelled"};
    const struct log_fields fields = {.job = job->id,
                                      .trace_id = job->trace_id[0] != '\0' ? job->trace_id : NULL};
    char *message = error != NULL ? message_of(error) : NULL;
    int64_t took = loop_wall_us(jobs->loop) - job->started_us;
    if (took < 0)
        took = 0;
    if (job->state == JOB_FAILED)
        log_event(LOG_ID_JOB_FAILED, &fields, "job %s (%s) failed: %s", job->id, job->action,
                  message != NULL ? message : "see its error");
    count(job, took);
    jobs_audit_event(jobs, &(struct jobs_event){.name = events[job->state],
                                                .job = job,
                                                .kind = kind,
                                                .detail = message,
                                                .status = status,
                                                .latency_us = took});
    free(message);
}

static void on_finished(void *owner, enum status_code code)
{
    struct run *run = owner;
    bool succeeded = run->job->state == JOB_SUCCEEDED;
    if (code == STATUS_OK) {
        jobs_tell_end(run->jobs, run->job, run->kind->name, run->status,
                      succeeded ? NULL : buf_text(&run->op.result));
        notifier_wake(run->jobs->notifier);
    }
    run_drop(run);
}

void run_finish(struct run *run, enum job_state state)
{
    struct kind_context context;
    struct buf notification = {0};
    const char *result = buf_text(&run->op.result);
    struct queue_save what = {.lease = QUEUE_RELEASE};
    run->job->state = state;
    if (state == JOB_SUCCEEDED)
        what.result = result;
    else
        what.error = result;
    if (run->params.n_tokens > 0 && run->kind->notification != NULL &&
        run->kind->notification(run->job, run_context(run, &context), result, &notification))
        what.notification = buf_text(&notification);
    run_set_state(run, RUN_ENDING);
    save(run, &what, on_finished);
    buf_deinit(&notification);
}

// SPDX-License-Identifier: Apache-2.0
// The kind "invoke": runs a data action with inputs and asks for its result until there is one.
//
//   send -> poll -> done | failed
//
// While polling, progress is {correlationId, sentAt, nextPoll (wall clock, microseconds), status}.
// The last question is asked at the deadline or after it, so that a result that came while nobody
// looked (a restart, an outage) is still found.
#include "core/mem.h"
#include "core/uuid.h"
#include "json/text.h"
#include "kind_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const steps[] = {"send", "poll", "done", "failed", NULL};
static const char *const members[] = {"inputs", "correlation_id", NULL};

// --- the request ---------------------------------------------------------------------------------

// The job's own, else its trace id, which is made once, random and stored.
static void put_correlation(struct buf *out, const struct kind_context *context,
                            const char *trace_id)
{
    uint32_t given = lookup_member(context->params, 0, "correlation_id");
    if (given != TAPE_NONE)
        put_value(out, "correlationId", context->params, given);
    else
        put_text(out, "correlationId", trace_id);
}

static void write_body(struct buf *out, const struct kind_context *context, const char *trace_id)
{
    uint32_t inputs = lookup_member(context->params, 0, "inputs");
    buf_append_text(out, "{");
    put_text(out, "actionId", context->action->action_id);
    if (inputs != TAPE_NONE)
        put_value(out, "inputs", context->params, inputs);
    else
        put_json(out, "inputs", "{}");
    put_correlation(out, context, trace_id);
    if (context->action->callback_url != NULL)
        put_text(out, "callbackUrl", context->action->callback_url);
    buf_append_text(out, "}");
}

// --- checks --------------------------------------------------------------------------------------

static bool is_allowed(const struct config_action *action, const struct tape *params, uint32_t key)
{
    for (size_t i = 0; i < action->allowed_inputs.count; i++) {
        if (lookup_is(params, key, action->allowed_inputs.items[i]))
            return true;
    }
    return !action->limits_inputs;
}

static void check_inputs(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    uint32_t inputs = check_member(params, 0, "inputs", TAPE_OBJECT, faults);
    uint32_t end = inputs == TAPE_NONE ? inputs : params->tokens[inputs].next;
    for (uint32_t key = inputs == TAPE_NONE ? inputs : inputs + 1; key != end;
         key = params->tokens[key + 1].next) {
        enum tape_kind kind = params->tokens[key + 1].kind;
        if (kind == TAPE_ARRAY || kind == TAPE_OBJECT)
            check_fault(params, key + 1, faults,
                        "an input is a string, a number, true, false or null, not an %s",
                        tape_kind_name(kind));
        if (!is_allowed(context->action, params, key))
            check_fault(params, key, faults,
                        "is not among the action's allowed_inputs; remove it, or allow it there");
    }
}

static void check(const struct kind_context *context, struct job_faults *faults)
{
    static const char any_uuid[] = "00000000-0000-4000-8000-000000000000";
    const struct tape *params = context->params;
    struct uuid ignored;
    struct buf body = {0};
    check_inputs(context, faults);
    uint32_t correlation = check_member(params, 0, "correlation_id", TAPE_STRING, faults);
    char *id = lookup_text(params, correlation);
    if (id != NULL && !uuid_parse(id, strlen(id), &ignored))
        check_fault(params, correlation, faults,
                    "is not a UUID; write one, or leave it out, and one is made");
    free(id);
    write_body(&body, context, any_uuid);
    if (body.len > context->action->max_payload)
        job_faults_add(faults, "/inputs",
                       "the request's body has %zu bytes, more than the %" PRIu64
                       " of the action's max_payload",
                       body.len, context->action->max_payload);
    buf_deinit(&body);
}

// --- plan ----------------------------------------------------------------------------------------

static void plan_send(const struct job *job, const struct kind_context *context, struct job_op *op)
{
    kind_plan_request(
        op, context,
        &(struct kind_request){.method = "POST",
                               .path = "invoke",
                               .fallback = "/api/v2/integrations/actions/invocations"});
    op->effect = true;
    write_body(&op->body, context, job->trace_id);
}

static void plan_poll(const struct job *job, const struct kind_context *context, struct job_op *op)
{
    struct tape progress;
    kind_recall(job, &progress);
    int64_t next = lookup_integer(&progress, lookup_member(&progress, 0, "nextPoll"), 0);
    tape_deinit(&progress);
    int64_t wait = next - context->wall_us;
    int64_t interval = context->action->poll_interval_us;
    if (wait > 0) { // never more than an interval, even if the clock was set back
        op->type = JOB_OP_WAIT;
        op->delay_us = wait < interval ? wait : interval;
        return;
    }
    kind_plan_request(op, context,
                      &(struct kind_request){
                          .method = "GET",
                          .path = "status",
                          .fallback = "/api/v2/integrations/actions/invocations/{invocationId}",
                          .name = "invocationId",
                          .value = job->remote_id != NULL ? job->remote_id : ""});
}

static void plan(const struct job *job, const struct kind_context *context, struct job_op *op_r)
{
    if (kind_plan_end(job, op_r))
        return;
    if (kind_at(job, "poll"))
        plan_poll(job, context, op_r);
    else
        plan_send(job, context, op_r);
}

// --- take ----------------------------------------------------------------------------------------

// What every result and error says of the invocation.
static void put_invocation(struct buf *out, const struct job *job,
                           const struct kind_context *context)
{
    put_correlation(out, context, job->trace_id);
    put_text(out, "invocationId", job->remote_id);
}

static void fail_to_send(struct job *job, const struct kind_context *context,
                         const struct job_answer *answer)
{
    struct buf error = {0};
    char *sentence = kind_sentence(answer);
    bool unknown = answer->type == JOB_ANSWER_GAVE_UP && answer->sent;
    kind_begin_error(&error, answer, "the action was not invoked: %s%s", sentence,
                     unknown ? " (a request may have arrived all the same)" : "");
    if (unknown)
        kind_put_unknown(&error);
    put_invocation(&error, job, context);
    kind_end(job, "failed", &error);
    free(sentence);
}

static void remember_poll(struct job *job, const struct kind_context *context, int64_t sent_us,
                          int64_t next_us, const struct job_answer *answer)
{
    struct buf progress = {0};
    buf_append_text(&progress, "{");
    put_correlation(&progress, context, job->trace_id);
    put_integer(&progress, "sentAt", sent_us);
    put_integer(&progress, "nextPoll", next_us);
    put_value(&progress, "status", answer->json, lookup_member(answer->json, 0, "status"));
    buf_append_text(&progress, "}");
    kind_remember(job, &progress);
    job->failures = 0; // each question has its own tries
}

// NULL: there is none that could be asked for.
static char *invocation_id(const struct job_answer *answer)
{
    char *id = kind_has_object(answer)
                   ? lookup_text(answer->json, lookup_member(answer->json, 0, "invocationId"))
                   : NULL;
    if (id != NULL && (*id == '\0' || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)) {
        free(id);
        return NULL;
    }
    return id;
}

static void take_sent(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer)
{
    if (!kind_succeeded(answer)) {
        fail_to_send(job, context, answer);
        return;
    }
    char *id = invocation_id(answer);
    if (id == NULL) {
        struct buf error = {0};
        kind_begin_error(&error, answer,
                         "HTTP %d came without an invocationId, so that the result cannot be asked "
                         "for; the action may have been invoked",
                         answer->status);
        kind_put_unknown(&error);
        put_invocation(&error, job, context);
        kind_end(job, "failed", &error);
        return;
    }
    free(job->remote_id);
    job->remote_id = id;
    remember_poll(job, context, context->wall_us, context->wall_us, answer);
    kind_go(job, "poll");
}

static void put_result(struct buf *out, const struct job *job, const struct kind_context *context,
                       const struct job_answer *answer, int64_t sent_us)
{
    const struct tape *json = answer->json;
    uint32_t outputs = lookup_member(json, 0, "outputs");
    put_invocation(out, job, context);
    put_value(out, "status", json, lookup_member(json, 0, "status"));
    if (outputs != TAPE_NONE)
        put_value(out, "outputs", json, outputs);
    else
        put_json(out, "outputs", "{}");
    put_value(out, "errorMessage", json, lookup_member(json, 0, "errorMessage"));
    put_integer(out, "durationMs", (context->wall_us - sent_us) / 1000);
}

static bool is_status(const struct tape *json, const char *name)
{
    char *status = lookup_text(json, lookup_member(json, 0, "status"));
    bool is = status != NULL && strcasecmp(status, name) == 0;
    free(status);
    return is;
}

// The invocation's own end. False when it goes on.
static bool take_final(struct job *job, const struct kind_context *context,
                       const struct job_answer *answer, int64_t sent_us)
{
    struct buf out = {0};
    bool completed = is_status(answer->json, "COMPLETED");
    bool cancelled = is_status(answer->json, "CANCELLED");
    if (!completed && !cancelled && !is_status(answer->json, "FAILED"))
        return false;
    if (completed) {
        buf_append_text(&out, "{");
    } else {
        char *said = lookup_text(answer->json, lookup_member(answer->json, 0, "errorMessage"));
        kind_begin_error(&out, NULL, "the invocation %s%s%.300s",
                         cancelled ? "was cancelled by the far side" : "failed",
                         said != NULL ? ": " : "", said != NULL ? said : "");
        free(said);
    }
    put_result(&out, job, context, answer, sent_us);
    kind_end(job, completed ? "done" : "failed", &out);
    return true;
}

static void fail_late(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer, int64_t sent_us)
{
    struct buf error = {0};
    char *status = lookup_text(answer->json, lookup_member(answer->json, 0, "status"));
    kind_begin_error(&error, NULL,
                     "the invocation is still \"%.40s\" after %" PRIi64
                     " s; it may end later, unseen (the action's poll.timeout says how long to "
                     "ask)",
                     status, (context->wall_us - sent_us) / 1000000);
    kind_put_unknown(&error);
    put_result(&error, job, context, answer, sent_us);
    kind_end(job, "failed", &error);
    free(status);
}

static void take_status(struct job *job, const struct kind_context *context,
                        const struct job_answer *answer)
{
    struct tape progress;
    kind_recall(job, &progress);
    int64_t sent_us = lookup_integer(&progress, lookup_member(&progress, 0, "sentAt"), 0);
    tape_deinit(&progress);
    int64_t deadline_us = sent_us + context->action->poll_timeout_us;
    int64_t next_us = context->wall_us + context->action->poll_interval_us;
    if (take_final(job, context, answer, sent_us))
        return;
    if (context->wall_us >= deadline_us)
        fail_late(job, context, answer, sent_us);
    else
        remember_poll(job, context, sent_us, next_us < deadline_us ? next_us : deadline_us, answer);
}

static void fail_to_poll(struct job *job, const struct kind_context *context,
                         const struct job_answer *answer)
{
    struct buf error = {0};
    char *sentence = kind_sentence(answer);
    kind_begin_error(&error, answer,
                     "the action was invoked, and its result cannot be asked for: %s", sentence);
    kind_put_unknown(&error);
    put_invocation(&error, job, context);
    kind_end(job, "failed", &error);
    free(sentence);
}

static void take_poll(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer, struct job_verdict *verdict)
{
    bool readable = kind_succeeded(answer) && kind_has_object(answer);
    char *status =
        readable ? lookup_text(answer->json, lookup_member(answer->json, 0, "status")) : NULL;
    if (status != NULL)
        take_status(job, context, answer);
    else if (kind_succeeded(answer))
        kind_retry(verdict, "HTTP %d without a status of the invocation", answer->status);
    else if (answer->type == JOB_ANSWER_HTTP && answer->status == 404)
        kind_retry(verdict, "HTTP 404: the far side does not know the invocation (yet)");
    else
        fail_to_poll(job, context, answer);
    free(status);
}

static void take(struct job *job, const struct kind_context *context,
                 const struct job_answer *answer, struct job_verdict *verdict_r)
{
    verdict_r->type = JOB_NEXT;
    if (kind_at(job, "poll"))
        take_poll(job, context, answer, verdict_r);
    else
        take_sent(job, context, answer);
}

const struct job_kind job_kind_invoke = {
    .name = "invoke",
    .steps = steps,
    .members = members,
    .max_429 = 3,
    .max_failures = 3,
    .check = check,
    .plan = plan,
    .take = take,
    .notification = kind_notification,
};

// SPDX-License-Identifier: Apache-2.0
// The kind "configure": sets a data action's timeouts, and sees that they are what was sent.
//
//   lock -> health -> put -> read -> done | failed
//
// The lock keeps two jobs from reading back what the other one sent. From "put" on, progress holds
// generatedAt, so that the body stays the same; from "read" on also `answer`, what the PUT came to,
// and `differences`, those of the last reading.
#include "core/clock.h"
#include "core/mem.h"
#include "json/number.h"
#include "kind_priv.h"
#include "readback_priv.h"

#include <stdlib.h>
#include <string.h>

#define HEALTH_TIMEOUT_US (5 * US_PER_S)
#define TIMEOUT_MAX_MS 30000
#define RETRIES_MAX 5
#define RETRIES_DEFAULT 3
#define SOCKETS_MAX 100
#define LOCK_DELAY_US (2 * US_PER_S)

static const char *const steps[] = {"lock", "health", "put", "read", "done", "failed", NULL};
static const char *const members[] = {"timeout_ms", "connection_timeout_ms", "idle_timeout_ms",
                                      "retry", NULL};
static const char *const retry_members[] = {"enabled", "max_retries", "backoff", "retry_on_status",
                                            NULL};

// --- checks --------------------------------------------------------------------------------------

static void check_backoff(const struct tape *params, uint32_t retry, struct job_faults *faults)
{
    uint32_t at = check_member(params, retry, "backoff", TAPE_STRING, faults);
    if (at != TAPE_NONE && !lookup_is(params, at, "exponential") &&
        !lookup_is(params, at, "linear") && !lookup_is(params, at, "fixed"))
        check_fault(params, at, faults, "choose \"exponential\", \"linear\" or \"fixed\"");
}

static void check_retry(const struct tape *params, struct job_faults *faults)
{
    uint32_t retry = check_member(params, 0, "retry", TAPE_OBJECT, faults);
    if (retry == TAPE_NONE)
        return;
    check_known(params, retry, retry_members, NULL, faults);
    check_member(params, retry, "enabled", TAPE_TRUE, faults);
    check_range(params, lookup_member(params, retry, "max_retries"), 0, RETRIES_MAX, faults);
    check_backoff(params, retry, faults);
    uint32_t list = check_member(params, retry, "retry_on_status", TAPE_ARRAY, faults);
    uint32_t end = list == TAPE_NONE ? list : params->tokens[list].next;
    for (uint32_t i = list == TAPE_NONE ? list : list + 1; i != end; i = params->tokens[i].next)
        check_range(params, i, 100, 599, faults);
}

static void check(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    if (lookup_member(params, 0, "timeout_ms") == TAPE_NONE)
        job_faults_add(faults, "/timeout_ms", "is missing; add it, for example 15000");
    check_range(params, lookup_member(params, 0, "timeout_ms"), 1, TIMEOUT_MAX_MS, faults);
    check_range(params, lookup_member(params, 0, "connection_timeout_ms"), 1, INT32_MAX, faults);
    check_range(params, lookup_member(params, 0, "idle_timeout_ms"), 1, INT32_MAX, faults);
    check_retry(params, faults);
}

// --- the body ------------------------------------------------------------------------------------

static void put_metadata(struct buf *out, const struct job *job)
{
    struct tape progress;
    kind_recall(job, &progress);
    put_json(out, "metadata", "{");
    put_text(out, "requestId", job->idempotency_key);
    put_text(out, "configurationVersion", "2.1");
    put_text(out, "auditTraceId", job->trace_id);
    put_value(out, "generatedAt", &progress, lookup_member(&progress, 0, "generatedAt"));
    buf_append_text(out, "}");
    tape_deinit(&progress);
}

// A value of the parameters, else `otherwise` as JSON.
static void put_or(struct buf *out, const char *name, const struct tape *params, uint32_t value,
                   const char *otherwise)
{
    if (value != TAPE_NONE)
        put_value(out, name, params, value);
    else
        put_json(out, name, otherwise);
}

static void put_configuration(struct buf *out, const struct tape *params)
{
    uint32_t retry = lookup_member(params, 0, "retry");
    int64_t retries =
        lookup_integer(params, lookup_member(params, retry, "max_retries"), RETRIES_DEFAULT);
    put_json(out, "configuration", "{");
    put_value(out, "requestTimeout", params, lookup_member(params, 0, "timeout_ms"));
    put_or(out, "connectionTimeout", params, lookup_member(params, 0, "connection_timeout_ms"),
           "5000");
    put_or(out, "idleTimeout", params, lookup_member(params, 0, "idle_timeout_ms"), "30000");
    put_json(out, "retryPolicy", "{");
    put_or(out, "enabled", params, lookup_member(params, retry, "enabled"), "true");
    put_integer(out, "maxRetries", retries);
    put_or(out, "backoffStrategy", params, lookup_member(params, retry, "backoff"),
           "\"exponential\"");
    put_or(out, "retryOnStatus", params, lookup_member(params, retry, "retry_on_status"),
           "[429,500,502,503,504]");
    buf_append_text(out, "}");
    put_json(out, "connectionPoolLimits", "{");
    put_integer(out, "maxSockets", retries * 10 < SOCKETS_MAX ? retries * 10 : SOCKETS_MAX);
    put_boolean(out, "keepAlive", true);
    buf_append_text(out, "}}");
}

static void write_body(struct buf *out, const struct job *job, const struct kind_context *context)
{
    buf_append_text(out, "{");
    put_text(out, "id", context->action->action_id);
    put_metadata(out, job);
    put_configuration(out, context->params);
    buf_append_text(out, "}");
}

// --- plan ----------------------------------------------------------------------------------------

static void plan_lock(const struct kind_context *context, struct job_op *op)
{
    op->type = JOB_OP_LOCK;
    op->delay_us = LOCK_DELAY_US;
    buf_printf(&op->key, "configure:%s", context->action->action_id);
}

static void plan_send(const struct job *job, const struct kind_context *context,
                      struct job_op *op_r)
{
    static const char actions[] = "/api/v2/integrations/actions";
    struct kind_request request = {.method = "GET", .path = "health", .fallback = "/api/v2/health"};
    if (kind_at(job, "put"))
        request = (struct kind_request){.method = "PUT", .path = "update", .fallback = actions};
    else if (kind_at(job, "read"))
        request = (struct kind_request){
            .method = "GET", .path = "read", .fallback = "/api/v2/integrations/actions/{actionId}"};
    else
        op_r->timeout_us = HEALTH_TIMEOUT_US;
    kind_plan_request(op_r, context, &request);
    op_r->effect = kind_at(job, "put");
    if (op_r->effect)
        write_body(&op_r->body, job, context);
}

static void plan(const struct job *job, const struct kind_context *context, struct job_op *op_r)
{
    if (kind_plan_end(job, op_r))
        return;
    if (kind_at(job, "health") || kind_at(job, "put") || kind_at(job, "read"))
        plan_send(job, context, op_r);
    else
        plan_lock(context, op_r);
}

// --- take ----------------------------------------------------------------------------------------

static void fail(struct job *job, const struct job_answer *answer, const char *what)
{
    struct buf error = {0};
    char *sentence = kind_sentence(answer);
    kind_begin_error(&error, answer, "%s: %s", what, sentence);
    kind_end(job, "failed", &error);
    free(sentence);
}

static void take_health(struct job *job, const struct kind_context *context,
                        const struct job_answer *answer)
{
    char now[32];
    struct buf progress = {0};
    if (answer->type != JOB_ANSWER_HTTP || answer->status != 200) {
        fail(job, answer, "the API is not healthy, so nothing was sent");
        return;
    }
    wall_format(context->wall_us, now, sizeof(now));
    buf_append_text(&progress, "{");
    put_text(&progress, "generatedAt", now);
    kind_end(job, "put", &progress);
}

// Copies generatedAt and answer, which stay.
static void put_kept(struct buf *out, const struct job *job)
{
    struct tape progress;
    kind_recall(job, &progress);
    put_value(out, "generatedAt", &progress, lookup_member(&progress, 0, "generatedAt"));
    put_value(out, "answer", &progress, lookup_member(&progress, 0, "answer"));
    tape_deinit(&progress);
}

static void take_put(struct job *job, const struct job_answer *answer)
{
    struct buf out = {0};
    struct tape progress;
    if (!kind_succeeded(answer)) {
        fail(job, answer, "not configured");
        return;
    }
    kind_recall(job, &progress);
    buf_append_text(&out, "{");
    put_value(&out, "generatedAt", &progress, lookup_member(&progress, 0, "generatedAt"));
    if (answer->json != NULL && answer->body_length <= KIND_ANSWER_MAX)
        put_value(&out, "answer", answer->json, 0);
    tape_deinit(&progress);
    kind_end(job, "read", &out);
}

// What differs of the body that was sent, as the members of a JSON array.
static void compare(const struct job *job, const struct kind_context *context,
                    const struct job_answer *answer, struct buf *differences)
{
    struct buf body = {0};
    struct tape sent;
    write_body(&body, job, context);
    tape_init(&sent, 0);
    if (tape_parse(&sent, body.data, body.len))
        readback_compare(&sent, answer->json, differences);
    tape_deinit(&sent);
    buf_deinit(&body);
}

// The far side may take a moment to show what it took: read again, as after a failure.
static void take_difference(struct job *job, struct buf *differences, struct job_verdict *verdict)
{
    struct buf progress = {0};
    char *list = mem_printf("[%s]", buf_text(differences));
    buf_append_text(&progress, "{");
    put_kept(&progress, job);
    put_json(&progress, "differences", list);
    kind_end(job, "read", &progress);
    kind_retry(verdict, "what was sent does not read back");
    free(list);
}

static void succeed(struct job *job)
{
    struct buf result = {0};
    buf_append_text(&result, "{");
    put_kept(&result, job);
    put_boolean(&result, "verified", true);
    kind_end(job, "done", &result);
}

// Read back often enough, or not at all.
static void fail_to_verify(struct job *job, const struct job_answer *answer)
{
    struct buf error = {0};
    struct tape progress;
    kind_recall(job, &progress);
    uint32_t differences = lookup_member(&progress, 0, "differences");
    bool tried = answer->type == JOB_ANSWER_GAVE_UP && differences != TAPE_NONE;
    char *sentence = kind_sentence(answer);
    char *named = tried ? readback_sentence(&progress, differences) : NULL;
    if (tried)
        kind_begin_error(&error, NULL, "sent, but it does not read back equal: %s", named);
    else
        kind_begin_error(&error, answer, "sent, but it cannot be read back: %s", sentence);
    if (tried)
        put_value(&error, "differences", &progress, differences);
    kind_end(job, "failed", &error);
    tape_deinit(&progress);
    free(sentence);
    free(named);
}

static void take_read(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer, struct job_verdict *verdict)
{
    struct buf differences = {0};
    bool readable = kind_succeeded(answer) && kind_has_object(answer);
    if (readable)
        compare(job, context, answer, &differences);
    if (readable && differences.len == 0)
        succeed(job);
    else if (readable)
        take_difference(job, &differences, verdict);
    else if (kind_succeeded(answer))
        kind_retry(verdict, "HTTP %d without a JSON object", answer->status);
    else
        fail_to_verify(job, answer);
    buf_deinit(&differences);
}

static void take(struct job *job, const struct kind_context *context,
                 const struct job_answer *answer, struct job_verdict *verdict_r)
{
    verdict_r->type = JOB_NEXT;
    if (kind_at(job, "health"))
        take_health(job, context, answer);
    else if (kind_at(job, "put"))
        take_put(job, answer);
    else if (kind_at(job, "read"))
        take_read(job, context, answer, verdict_r);
    else if (answer->ok)
        kind_go(job, "health"); // else it waits, and asks again
}

// --- the notification ----------------------------------------------------------------------------

// CONFIG_SYNC_SUCCESS {traceId, payload, result}, CONFIG_SYNC_FAILURE {traceId, error}
static bool notification(const struct job *job, const struct kind_context *context,
                         const char *result, struct buf *out)
{
    bool success = job->state == JOB_SUCCEEDED;
    struct tape tape;
    struct buf payload = {0};
    if (context->action->notify_url == NULL)
        return false;
    tape_init(&tape, 0);
    if (!tape_parse(&tape, result, strlen(result)))
        (void)!tape_parse(&tape, "{}", 2);
    buf_append_text(out, "{");
    put_text(out, "type", success ? "CONFIG_SYNC_SUCCESS" : "CONFIG_SYNC_FAILURE");
    kind_put_trace(out, job);
    if (success) {
        write_body(&payload, job, context);
        put_json(out, "payload", buf_text(&payload));
        put_value(out, "result", &tape, lookup_member(&tape, 0, "answer"));
    } else {
        put_value(out, "error", &tape, lookup_member(&tape, 0, "message"));
    }
    buf_append_text(out, "}");
    buf_deinit(&payload);
    tape_deinit(&tape);
    return true;
}

const struct job_kind job_kind_configure = {
    .name = "configure",
    .steps = steps,
    .members = members,
    .max_429 = 3,
    .max_failures = 3,
    .check = check,
    .plan = plan,
    .take = take,
    .notification = notification,
};

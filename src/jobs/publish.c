// SPDX-License-Identifier: Apache-2.0
// The kind "publish": puts a version of a data action into sandbox or production.
//
//   check -> lock -> read -> publish -> done
//     |       |       |        |   \-> restore -> restored
//     \-------\-------\--------\-> failed
//
// From "read" on, progress holds `previous`, the state before: {published, environment?,
// checksum?}. Whatever goes wrong once the PATCH may have been sent leads over "restore", which
// sends that state, but for 409 (somebody else is at work on the version). While restoring,
// progress holds `cause` too, the error that led there.
#include "publish_priv.h"

#include "core/mem.h"
#include "core/uuid.h"
#include "json/text.h"
#include "kind_priv.h"

#include <stdlib.h>
#include <string.h>

#define LOCK_DELAY_US (2 * INT64_C(1000000))

static const char *const steps[] = {"check",  "lock",    "read",     "publish", "done",
                                    "failed", "restore", "restored", NULL};
static const char *const members[] = {"version_id",   "environment", "code",
                                      "code_file",    "source",      "checksum",
                                      "dependencies", "on_conflict", NULL};

// --- plan ----------------------------------------------------------------------------------------

static void plan_check(const struct kind_context *context, struct job_op *op)
{
    const struct tape *params = context->params;
    uint32_t code = lookup_member(params, 0, "code");
    size_t room = 0;
    op->type = JOB_OP_CHECK_CODE;
    op->module = lookup_is(params, lookup_member(params, 0, "source"), "module");
    if (code != TAPE_NONE && params->tokens[code].kind == TAPE_STRING) {
        tape_string(params, code, &room);
        op->held.len = text_unescape(params, code, buf_reserve(&op->held, room + 1));
    }
    op->code = buf_text(&op->held);
    op->code_length = op->held.len;
}

static char *version_of(const struct kind_context *context)
{
    char *version = lookup_text(context->params, lookup_member(context->params, 0, "version_id"));
    return version != NULL ? version : mem_strdup("");
}

static void plan_lock(const struct kind_context *context, struct job_op *op)
{
    char *version = version_of(context);
    op->type = JOB_OP_LOCK;
    op->delay_us = LOCK_DELAY_US;
    op->fail_if_held =
        lookup_is(context->params, lookup_member(context->params, 0, "on_conflict"), "fail");
    buf_printf(&op->key, "%s:%s", context->action->action_id, version);
    free(version);
}

static void plan_request(const struct kind_context *context, struct job_op *op, const char *method)
{
    char *version = version_of(context);
    kind_plan_request(op, context,
                      &(struct kind_request){
                          .method = method,
                          .path = "version",
                          .fallback = "/api/v2/studio/data-actions/{actionId}/versions/{versionId}",
                          .name = "versionId",
                          .value = version});
    free(version);
}

static void plan_publish(const struct kind_context *context, struct job_op *op)
{
    char checksum[HASH_SHA256_HEX_SIZE];
    publish_checksum(context, checksum);
    plan_request(context, op, "PATCH");
    op->effect = true;
    buf_append_text(&op->body, "{");
    put_boolean(&op->body, "published", true);
    put_value(&op->body, "environment", context->params,
              lookup_member(context->params, 0, "environment"));
    put_text(&op->body, "checksum", checksum);
    buf_append_text(&op->body, "}");
}

// The same PATCH with what was there; its own key, since to the far side it is another request.
static void plan_restore(const struct job *job, const struct kind_context *context,
                         struct job_op *op)
{
    struct tape progress;
    char *name = mem_printf("%s restore", job->idempotency_key);
    struct uuid key = uuid_from_data(name, strlen(name));
    plan_request(context, op, "PATCH");
    op->effect = true;
    uuid_format(&key, op->idempotency_key);
    kind_recall(job, &progress);
    uint32_t previous = lookup_member(&progress, 0, "previous");
    if (previous != TAPE_NONE)
        json_copy(&op->body, &progress, previous);
    tape_deinit(&progress);
    free(name);
}

static void plan(const struct job *job, const struct kind_context *context, struct job_op *op_r)
{
    if (kind_plan_end(job, op_r))
        return;
    if (kind_at(job, "lock"))
        plan_lock(context, op_r);
    else if (kind_at(job, "read"))
        plan_request(context, op_r, "GET");
    else if (kind_at(job, "publish"))
        plan_publish(context, op_r);
    else if (kind_at(job, "restore"))
        plan_restore(job, context, op_r);
    else
        plan_check(context, op_r);
}

// --- the record ----------------------------------------------------------------------------------

// What every result and error says of the deployment.
static void put_deployment(struct buf *out, const struct kind_context *context)
{
    const struct tape *params = context->params;
    char checksum[HASH_SHA256_HEX_SIZE];
    publish_checksum(context, checksum);
    put_value(out, "version", params, lookup_member(params, 0, "version_id"));
    put_value(out, "environment", params, lookup_member(params, 0, "environment"));
    put_text(out, "checksum", checksum);
}

static void put_previous(struct buf *out, const struct job *job)
{
    struct tape progress;
    kind_recall(job, &progress);
    put_value(out, "previous", &progress, lookup_member(&progress, 0, "previous"));
    tape_deinit(&progress);
}

// Nothing was sent, or nothing that has to be undone.
static void fail(struct job *job, const struct kind_context *context, struct buf *error)
{
    put_deployment(error, context);
    kind_end(job, "failed", error);
}

// `cause` is an error that was begun; it is ended and emptied here.
static void go_restore(struct job *job, const struct kind_context *context, struct buf *cause)
{
    struct buf progress = {0};
    buf_append_text(cause, "}");
    buf_append_text(&progress, "{");
    put_deployment(&progress, context);
    put_previous(&progress, job);
    put_json(&progress, "cause", buf_text(cause));
    buf_append_text(&progress, "}");
    buf_deinit(cause);
    kind_remember(job, &progress);
    kind_go(job, "restore");
}

// --- before anything is sent ---------------------------------------------------------------------

static void take_code(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer)
{
    struct buf error = {0};
    if (answer->type == JOB_ANSWER_CODE && answer->ok) {
        kind_go(job, "lock");
        return;
    }
    if (answer->line > 0)
        kind_begin_error(&error, NULL, "the code, line %u: %.300s; nothing was sent", answer->line,
                         answer->message);
    else
        kind_begin_error(&error, NULL, "the code: %.300s; nothing was sent", answer->message);
    if (answer->line > 0)
        put_integer(&error, "line", answer->line);
    fail(job, context, &error);
}

static void take_lock(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer)
{
    struct buf error = {0};
    if (answer->ok) {
        kind_go(job, "read");
    } else if (lookup_is(context->params, lookup_member(context->params, 0, "on_conflict"),
                         "fail")) {
        kind_begin_error(&error, NULL,
                         "conflict: job \"%.255s\" is publishing this version; nothing was sent",
                         answer->message);
        fail(job, context, &error);
    } // else it waits, and asks again
}

// The state as a PATCH would set it: {published, environment?, checksum?}. False when the answer
// does not tell whether it is published.
static bool read_state(const struct job_answer *answer, struct buf *out)
{
    static const char *const texts[] = {"environment", "checksum"};
    const struct tape *json = answer->json;
    if (!kind_has_object(answer))
        return false;
    uint32_t published = lookup_member(json, 0, "published");
    uint32_t status = lookup_member(json, 0, "status");
    bool told = published != TAPE_NONE && (json->tokens[published].kind == TAPE_TRUE ||
                                           json->tokens[published].kind == TAPE_FALSE);
    if (!told && (status == TAPE_NONE || json->tokens[status].kind != TAPE_STRING))
        return false;
    buf_append_text(out, "{");
    put_boolean(out, "published",
                told ? json->tokens[published].kind == TAPE_TRUE
                     : lookup_is(json, status, "published"));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint32_t value = lookup_member(json, 0, texts[i]);
        if (value != TAPE_NONE && json->tokens[value].kind == TAPE_STRING)
            put_value(out, texts[i], json, value);
    }
    buf_append_text(out, "}");
    return true;
}

static void take_state(struct job *job, const struct kind_context *context,
                       const struct job_answer *answer)
{
    struct buf out = {0};
    struct buf state = {0};
    if (kind_succeeded(answer) && read_state(answer, &state)) {
        buf_append_text(&out, "{");
        put_deployment(&out, context);
        put_json(&out, "previous", buf_text(&state));
        kind_end(job, "publish", &out);
    } else {
        char *sentence = kind_sentence(answer);
        kind_begin_error(&out, answer,
                         "the present state of the version cannot be read: %s%s; "
                         "nothing was sent",
                         sentence,
                         kind_succeeded(answer)
                             ? " does not tell whether it is published (published or status)"
                             : "");
        fail(job, context, &out);
        free(sentence);
    }
    buf_deinit(&state);
}

// --- publishing ----------------------------------------------------------------------------------

static bool is_published(const struct job_answer *answer)
{
    if (!kind_succeeded(answer) || !kind_has_object(answer))
        return false;
    uint32_t published = lookup_member(answer->json, 0, "published");
    return lookup_is(answer->json, lookup_member(answer->json, 0, "status"), "published") ||
           (published != TAPE_NONE && answer->json->tokens[published].kind == TAPE_TRUE);
}

static void succeed(struct job *job, const struct kind_context *context,
                    const struct job_answer *answer)
{
    struct buf result = {0};
    buf_append_text(&result, "{");
    put_boolean(&result, "published", true);
    put_deployment(&result, context);
    put_previous(&result, job);
    put_value(&result, "status", answer->json, lookup_member(answer->json, 0, "status"));
    kind_end(job, "done", &result);
}

static void take_published(struct job *job, const struct kind_context *context,
                           const struct job_answer *answer)
{
    struct buf error = {0};
    if (is_published(answer)) {
        succeed(job, context, answer);
        return;
    }
    char *sentence = kind_sentence(answer);
    kind_begin_error(&error, answer, "not published: %s%s", sentence,
                     kind_succeeded(answer) ? " does not say that the version is published" : "");
    free(sentence);
    bool conflict = answer->status == 409;
    bool sent = answer->type == JOB_ANSWER_HTTP || answer->sent;
    if (conflict || !sent)
        fail(job, context, &error);
    else
        go_restore(job, context, &error);
}

// --- restoring -----------------------------------------------------------------------------------

static void end_restore(struct job *job, const struct kind_context *context,
                        const struct job_answer *answer)
{
    struct buf error = {0};
    struct tape progress;
    bool restored = kind_succeeded(answer);
    kind_recall(job, &progress);
    uint32_t cause = lookup_member(&progress, 0, "cause");
    char *why = lookup_text(&progress, lookup_member(&progress, cause, "message"));
    char *sentence = kind_sentence(answer);
    if (restored)
        kind_begin_error(&error, NULL, "%.600s; the state before was restored", why);
    else
        kind_begin_error(&error, NULL,
                         "%.400s; RESTORING the state before FAILED as well (%.300s): see to the "
                         "version by hand",
                         why, sentence);
    put_boolean(&error, "restored", restored);
    put_deployment(&error, context);
    put_value(&error, "previous", &progress, lookup_member(&progress, 0, "previous"));
    put_value(&error, "cause", &progress, cause);
    kind_end(job, "restored", &error);
    tape_deinit(&progress);
    free(why);
    free(sentence);
}

// After it was answered, or may have been, or was published: a person wants it undone, or nobody
// will see to it.
static void take_undo(struct job *job, const struct kind_context *context, const char *why)
{
    struct buf cause = {0};
    if (!kind_at(job, "publish") && !kind_at(job, "done"))
        return; // it is being undone already, or has been
    kind_begin_error(&cause, NULL, "%s", why);
    go_restore(job, context, &cause);
}

static bool must_undo(const struct job *job)
{
    return kind_at(job, "publish") || kind_at(job, "done") || kind_at(job, "restore") ||
           kind_at(job, "restored");
}

static void take(struct job *job, const struct kind_context *context,
                 const struct job_answer *answer, struct job_verdict *verdict_r)
{
    verdict_r->type = JOB_NEXT;
    if (answer->type == JOB_ANSWER_UNDO)
        take_undo(job, context, answer->message);
    else if (kind_at(job, "check"))
        take_code(job, context, answer);
    else if (kind_at(job, "lock"))
        take_lock(job, context, answer);
    else if (kind_at(job, "read"))
        take_state(job, context, answer);
    else if (kind_at(job, "publish"))
        take_published(job, context, answer);
    else if (kind_at(job, "restore"))
        end_restore(job, context, answer);
}

const struct job_kind job_kind_publish = {
    .name = "publish",
    .steps = steps,
    .members = members,
    .max_429 = 3,
    .max_failures = 3,
    .check = publish_check,
    .plan = plan,
    .take = take,
    .must_undo = must_undo,
    .undo_step = "restore",
    .notification = publish_notification,
};

// SPDX-License-Identifier: Apache-2.0
// The kind "execute": sends a file, or base64 text, to a data action.
//
//   send -> store -> done | failed      (store: only where the action has storage)
//
// While storing, progress is what the result will be.
#include "core/base64.h"
#include "core/mem.h"
#include "execute_priv.h"
#include "jobs/base64_text.h"
#include "json/text.h"
#include "kind_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const steps[] = {"send", "store", "done", "failed", NULL};
static const char *const members[] = {"file", "data", "encoding", "content_type", "metadata", NULL};

// --- plan ----------------------------------------------------------------------------------------

static void plan_payload(const struct kind_context *context, struct job_op *op)
{
    const struct tape *params = context->params;
    uint32_t file = lookup_member(params, 0, "file");
    uint32_t data = lookup_member(params, 0, "data");
    if (file != TAPE_NONE) {
        char *path = lookup_text(params, file);
        buf_append_text(&op->held, path != NULL ? path : "");
        op->payload = (struct job_payload){.type = JOB_PAYLOAD_FILE,
                                           .path = buf_text(&op->held),
                                           .max_bytes = context->action->max_bytes,
                                           .dir = context->action->file_dir};
        free(path);
    } else if (context->data != NULL) {
        op->payload = (struct job_payload){.type = JOB_PAYLOAD_BASE64,
                                           .base64 = context->data->text,
                                           .base64_length = context->data->length,
                                           .base64_values = context->data->scan.values};
    } else if (data != TAPE_NONE) {
        op->payload.type = JOB_PAYLOAD_BASE64;
        op->payload.base64 = execute_string(params, data, &op->held, &op->payload.base64_length);
    }
}

static void put_metadata(struct buf *out, const struct kind_context *context)
{
    uint32_t metadata = lookup_member(context->params, 0, "metadata");
    if (metadata != TAPE_NONE)
        put_value(out, "metadata", context->params, metadata);
    else
        put_json(out, "metadata", "{}");
}

// {"inputs": {"binaryPayload": {"value": "...", "contentType": ...}, "metadata": {...}}}
static void plan_send(const struct kind_context *context, struct job_op *op)
{
    uint32_t type = lookup_member(context->params, 0, "content_type");
    kind_plan_request(
        op, context,
        &(struct kind_request){.method = "POST",
                               .path = "execute",
                               .fallback = "/api/v2/data-actions/{actionId}/execute"});
    op->effect = true;
    buf_append_text(&op->body, "{\"inputs\":{\"binaryPayload\":{\"value\":\"");
    plan_payload(context, op);
    buf_append_text(&op->body_tail, "\"");
    put_value(&op->body_tail, "contentType", context->params, type);
    buf_append_text(&op->body_tail, "}");
    put_metadata(&op->body_tail, context);
    buf_append_text(&op->body_tail, "}}");
}

// {"requestId": ..., "executionId": ..., "encodedData": "...", "metadata": {...}}
static void plan_store(const struct job *job, const struct kind_context *context, struct job_op *op)
{
    op->type = JOB_OP_STORE;
    op->effect = true;
    buf_append_text(&op->body, "{");
    put_text(&op->body, "requestId", job->idempotency_key);
    put_text(&op->body, "executionId", job->remote_id);
    if (context->action->storage_include_data) {
        put_json(&op->body, "encodedData", "\"");
        plan_payload(context, op);
        buf_append_text(&op->body_tail, "\"");
        put_metadata(&op->body_tail, context);
        buf_append_text(&op->body_tail, "}");
    } else {
        put_metadata(&op->body, context);
        buf_append_text(&op->body, "}");
    }
}

static void plan(const struct job *job, const struct kind_context *context, struct job_op *op_r)
{
    if (kind_plan_end(job, op_r))
        return;
    if (kind_at(job, "store"))
        plan_store(job, context, op_r);
    else
        plan_send(context, op_r);
}

// --- take ----------------------------------------------------------------------------------------

// Of a text without line ends, which was checked, its length says it all; megabytes need not be
// read for that.
static bool text_size(const struct kind_context *context, const struct job_op *op,
                      uint64_t *bytes_r)
{
    const char *text = op->payload.base64;
    size_t length = op->payload.base64_length;
    size_t offset;
    if (context->data != NULL)
        return base64_text_end(&context->data->scan, bytes_r);
    if (op->held.len > 0)
        return base64_text_check(text, length, bytes_r, &offset);
    while (length > 0 && text[length - 1] == '=')
        length--;
    *bytes_r = length / 4 * 3 + (length % 4 > 0 ? length % 4 - 1 : 0);
    return true;
}

// Bytes of the payload; -1 when its file cannot be looked at any more.
static int64_t payload_size(const struct kind_context *context)
{
    struct stat info = {0};
    struct job_op op = {0};
    uint64_t bytes = 0;
    plan_payload(context, &op);
    bool is_file = op.payload.type == JOB_PAYLOAD_FILE;
    bool known = is_file ? stat(op.payload.path, &info) == 0
                         : op.payload.type == JOB_PAYLOAD_BASE64 && text_size(context, &op, &bytes);
    job_op_deinit(&op);
    return !known ? -1 : is_file ? info.st_size : (int64_t)bytes;
}

static void put_payload(struct buf *out, const struct kind_context *context)
{
    int64_t size = payload_size(context);
    put_value(out, "mimeType", context->params, lookup_member(context->params, 0, "content_type"));
    if (size >= 0) {
        put_integer(out, "originalSize", size);
        put_integer(out, "encodedSize", BASE64_LENGTH(size));
    }
}

static void fail_to_send(struct job *job, const struct kind_context *context,
                         const struct job_answer *answer)
{
    struct buf error = {0};
    char *sentence = kind_sentence(answer);
    bool unknown = answer->type == JOB_ANSWER_GAVE_UP && answer->sent;
    kind_begin_error(&error, answer, "not executed: %s%s", sentence,
                     unknown ? " (a request may have arrived all the same)" : "");
    if (unknown)
        kind_put_unknown(&error);
    put_text(&error, "requestId", job->idempotency_key);
    put_payload(&error, context);
    kind_end(job, "failed", &error);
    free(sentence);
}

// Any 2xx is a success; a 202 may have no body.
static void take_sent(struct job *job, const struct kind_context *context,
                      const struct job_answer *answer)
{
    static const char *const told[] = {"executionId", "status", "message"};
    const struct config_action *action = context->action;
    bool stores = action->storage_dir != NULL || action->storage_url != NULL;
    struct buf result = {0};
    if (!kind_succeeded(answer)) {
        fail_to_send(job, context, answer);
        return;
    }
    buf_append_text(&result, "{");
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (kind_has_object(answer))
            put_value(&result, told[i], answer->json, lookup_member(answer->json, 0, told[i]));
        else
            put_text(&result, told[i], NULL);
    }
    put_text(&result, "requestId", job->idempotency_key);
    put_payload(&result, context);
    free(job->remote_id);
    job->remote_id = kind_has_object(answer)
                         ? lookup_text(answer->json, lookup_member(answer->json, 0, "executionId"))
                         : NULL;
    kind_end(job, stores ? "store" : "done", &result);
}

static void take_stored(struct job *job, const struct job_answer *answer)
{
    static const char *const kept[] = {"executionId", "requestId", "mimeType", "originalSize",
                                       "encodedSize"};
    struct buf out = {0};
    struct tape result;
    if (answer->type == JOB_ANSWER_STORED && answer->ok) {
        kind_go(job, "done");
        return;
    }
    kind_recall(job, &result);
    kind_begin_error(&out, NULL, "executed, but the record could not be stored: %s",
                     answer->message);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        put_value(&out, kept[i], &result, lookup_member(&result, 0, kept[i]));
    tape_deinit(&result);
    kind_end(job, "failed", &out);
}

static void take(struct job *job, const struct kind_context *context,
                 const struct job_answer *answer, struct job_verdict *verdict_r)
{
    verdict_r->type = JOB_NEXT;
    if (kind_at(job, "store"))
        take_stored(job, answer);
    else
        take_sent(job, context, answer);
}

const struct job_kind job_kind_execute = {
    .name = "execute",
    .steps = steps,
    .members = members,
    .max_429 = 4,
    .max_failures = 3,
    .check = execute_check,
    .plan = plan,
    .take = take,
    .notification = kind_notification,
};

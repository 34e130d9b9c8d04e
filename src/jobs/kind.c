// SPDX-License-Identifier: Apache-2.0
#include "jobs/kind.h"

#include "core/mem.h"
#include "kind_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct job_kind *job_kind(enum config_kind kind)
{
    static const struct job_kind *const kinds[ACTION_KINDS] = {
        [ACTION_INVOKE] = &job_kind_invoke,
        [ACTION_EXECUTE] = &job_kind_execute,
        [ACTION_PUBLISH] = &job_kind_publish,
        [ACTION_CONFIGURE] = &job_kind_configure,
    };
    return kinds[kind];
}

void job_op_deinit(struct job_op *op)
{
    buf_deinit(&op->path);
    buf_deinit(&op->body);
    buf_deinit(&op->body_tail);
    buf_deinit(&op->key);
    buf_deinit(&op->result);
    buf_deinit(&op->held);
    *op = (struct job_op){0};
}

// --- faults --------------------------------------------------------------------------------------

void job_faults_add(struct job_faults *faults, const char *pointer, const char *format, ...)
{
    if (faults->count == JOB_FAULTS_MAX)
        return;
    if (faults->items == NULL)
        faults->items = mem_zalloc(JOB_FAULTS_MAX * sizeof(*faults->items));
    struct job_fault *fault = &faults->items[faults->count++];
    if (faults->count == JOB_FAULTS_MAX) {
        snprintf(fault->message, sizeof(fault->message),
                 "there are more faults; mend these, and the rest is told");
        return;
    }
    va_list args;
    va_start(args, format);
    snprintf(fault->pointer, sizeof(fault->pointer), "%s", pointer);
    vsnprintf(fault->message, sizeof(fault->message), format, args);
    va_end(args);
}

void job_faults_free(struct job_faults *faults)
{
    free(faults->items);
    *faults = (struct job_faults){0};
}

// --- requests ------------------------------------------------------------------------------------

// All but the unreserved characters of RFC 3986 section 2.3.
static void append_encoded(struct buf *out, const char *text)
{
    static const char plain[] =
        "0123456789-._~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            buf_append(out, text, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

static const char *path_of(const struct config_action *action, const struct kind_request *request)
{
    for (size_t i = 0; i < action->paths.count; i++) {
        if (strcmp(action->paths.items[i].name, request->path) == 0)
            return action->paths.items[i].value;
    }
    return request->fallback;
}

// What "{name}" stands for, `at` being behind the brace.
static const char *value_of(const struct config_action *action, const struct kind_request *request,
                            const char *at, size_t length)
{
    const char *name = request->name;
    if (name != NULL && strlen(name) == length && memcmp(name, at, length) == 0)
        return request->value;
    return action->action_id;
}

void kind_plan_request(struct job_op *op, const struct kind_context *context,
                       const struct kind_request *request)
{
    const char *at = path_of(context->action, request);
    op->type = JOB_OP_SEND;
    op->method = request->method;
    for (;;) {
        size_t length = strcspn(at, "{");
        buf_append(&op->path, at, length);
        at += length;
        if (*at == '\0')
            return;
        length = strcspn(at, "}");
        append_encoded(&op->path, value_of(context->action, request, at + 1, length - 1));
        at += length + 1;
    }
}

// --- notifications -------------------------------------------------------------------------------

void kind_put_trace(struct buf *out, const struct job *job)
{
    put_text(out, "traceId", job->trace_id[0] != '\0' ? job->trace_id : NULL);
}

bool kind_notification(const struct job *job, const struct kind_context *context,
                       const char *result, struct buf *out)
{
    struct tape tape;
    if (context->action->notify_url == NULL)
        return false;
    buf_append_text(out, "{");
    put_text(out, "jobId", job->id);
    put_text(out, "action", job->action);
    put_text(out, "state", job_state_name(job->state));
    kind_put_trace(out, job);
    tape_init(&tape, 0);
    if (tape_parse(&tape, result, strlen(result)))
        put_members(out, &tape, 0);
    tape_deinit(&tape);
    buf_append_text(out, "}");
    return true;
}

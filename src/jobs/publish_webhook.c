// SPDX-License-Identifier: Apache-2.0
// What a webhook is told of a deployment.
#include "core/clock.h"
#include "core/mem.h"
#include "kind_priv.h"
#include "publish_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Told apart by what was deployed and how it ended.
static void put_audit_hash(struct buf *out, const struct kind_context *context, bool success,
                           int64_t latency_ms)
{
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE];
    char *version = lookup_text(context->params, lookup_member(context->params, 0, "version_id"));
    char *text = mem_printf("%s:%s:%s:%" PRIi64, context->action->action_id,
                            version != NULL ? version : "", success ? "true" : "false", latency_ms);
    hash_sha256(text, strlen(text), digest);
    hash_hex(digest, sizeof(digest), hex);
    put_text(out, "auditHash", hex);
    free(text);
    free(version);
}

static void put_audit(struct buf *out, const struct job *job, const struct kind_context *context,
                      const struct tape *result, int64_t latency_ms)
{
    char timestamp[32];
    char checksum[HASH_SHA256_HEX_SIZE];
    bool success = job->state == JOB_SUCCEEDED;
    const struct tape *params = context->params;
    wall_format(context->wall_us, timestamp, sizeof(timestamp));
    publish_checksum(context, checksum);
    put_json(out, "audit", "{");
    put_text(out, "timestamp", timestamp);
    put_text(out, "eventType", "DATA_ACTION_VERSION_PUBLISHED");
    put_text(out, "jobId", job->id);
    kind_put_trace(out, job);
    put_text(out, "dataActionId", context->action->action_id);
    put_value(out, "versionId", params, lookup_member(params, 0, "version_id"));
    put_value(out, "environment", params, lookup_member(params, 0, "environment"));
    put_text(out, "checksum", checksum);
    put_boolean(out, "success", success);
    if (!success) {
        uint32_t restored = lookup_member(result, 0, "restored");
        put_value(out, "error", result, lookup_member(result, 0, "message"));
        if (restored != TAPE_NONE)
            put_value(out, "restored", result, restored);
    }
    put_integer(out, "latencyMs", latency_ms);
    put_audit_hash(out, context, success, latency_ms);
    buf_append_text(out, "}");
}

bool publish_notification(const struct job *job, const struct kind_context *context,
                          const char *result, struct buf *out)
{
    bool success = job->state == JOB_SUCCEEDED;
    int64_t latency_ms = (context->wall_us - job->started_us) / US_PER_MS;
    struct tape tape;
    if (context->action->webhook_url == NULL && context->action->notify_url == NULL)
        return false;
    tape_init(&tape, 0);
    if (!tape_parse(&tape, result, strlen(result)))
        (void)!tape_parse(&tape, "{}", 2);
    buf_append_text(out, "{");
    put_text(out, "type", success ? "DEPLOYMENT_SUCCESS" : "DEPLOYMENT_FAILURE");
    put_json(out, "metrics", "{");
    put_integer(out, "total", 1);
    put_integer(out, "success", success);
    put_integer(out, "failure", !success);
    put_integer(out, "attempts", job->attempt);
    buf_append_text(out, "}");
    put_audit(out, job, context, &tape, latency_ms);
    put_integer(out, "latencyMs", latency_ms);
    buf_append_text(out, "}");
    tape_deinit(&tape);
    return true;
}

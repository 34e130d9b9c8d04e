// SPDX-License-Identifier: Apache-2.0
#include "jobs/request.h"

static void add(struct http_header *list, size_t *n, const char *name, const char *value)
{
    if (*n < REQUEST_HEADERS_MAX)
        list[(*n)++] = (struct http_header){name, value};
}

size_t request_headers(const struct config_api *api, const struct job *job, const struct job_op *op,
                       const char *authorization, struct http_header list[REQUEST_HEADERS_MAX])
{
    const char *own_key = op->idempotency_key;
    size_t n = 0;
    if (authorization != NULL)
        add(list, &n, "Authorization", authorization);
    if (op->body.len > 0)
        add(list, &n, "Content-Type", "application/json");
    add(list, &n, "Accept", "application/json");
    add(list, &n, "X-Request-Id", job->trace_id);
    if (op->effect)
        add(list, &n, "Idempotency-Key", own_key[0] != '\0' ? own_key : job->idempotency_key);
    for (size_t i = 0; i < api->headers.count; i++)
        add(list, &n, api->headers.items[i].name, api->headers.items[i].value);
    return n;
}

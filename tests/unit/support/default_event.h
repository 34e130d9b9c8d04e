// SPDX-License-Identifier: Apache-2.0
// An event of config/schemas/cxone-event.json, and the table that the product writes it to.
#ifndef CXSINK_TESTS_DEFAULT_EVENT_H
#define CXSINK_TESTS_DEFAULT_EVENT_H

#include "event/decode.h"
#include "event/mapping.h"

#include <stdio.h>
#include <stdlib.h>

static const char default_event[] =
    "{\"interactionId\":\"int-000000000001\",\"timestamp\":\"2025-03-14T09:26:53.589Z\","
    "\"type\":\"call\",\"idempotencyKey\":\"evt-000000000001\",\"attributes\":{\"duration\":412,"
    "\"disposition\":\"resolved\",\"queueName\":\"support\",\"agentId\":\"agent-17\"}}";

static const struct mapping_column default_columns[] = {
    {"interaction_id", "/interactionId", PG_VARCHAR, 259, true},
    {"timestamp", "/timestamp", PG_TIMESTAMPTZ, -1, true},
    {"type", "/type", PG_VARCHAR, 54, true},
    {"idempotency_key", "/idempotencyKey", PG_VARCHAR, 259, true},
    {"duration", "/attributes/duration", PG_FLOAT8, -1, false},
    {"disposition", "/attributes/disposition", PG_VARCHAR, 259, false},
    {"queue_name", "/attributes/queueName", PG_VARCHAR, 259, false},
    {"agent_id", "/attributes/agentId", PG_VARCHAR, 259, false},
    {"attributes", "/attributes", PG_JSONB, -1, false},
};
#define DEFAULT_COLUMNS (sizeof(default_columns) / sizeof(default_columns[0]))
#define DEFAULT_KEY 3 // idempotency_key

static inline struct mapping *default_event_mapping(void)
{
    unsigned key = DEFAULT_KEY;
    struct status st = {0};
    struct mapping *mapping;
    if (mapping_compile(default_columns, DEFAULT_COLUMNS, &key, 1, &mapping, &st) != STATUS_OK) {
        fprintf(stderr, "%s\n", st.detail);
        exit(1);
    }
    return mapping;
}

#endif

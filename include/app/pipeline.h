// SPDX-License-Identifier: Apache-2.0
// From a raw frame to the sink: decode with the stream's schema and its table's mapping, push the
// row or the dead letter, and hold the one that met a full lane. The daemon feeds it from the
// spool, `cxsink load` from files, `cxsink dead replay` from dead letters.
#ifndef CXSINK_APP_PIPELINE_H
#define CXSINK_APP_PIPELINE_H

#include "config/load.h"
#include "event/decode.h"
#include "sink/sink.h"

#include <stdbool.h>
#include <stddef.h>

struct pipeline;
struct schema_set;

// The compiled schemas of all streams of a configuration. NULL when one cannot be read or compiled;
// every fault of every schema is then added to `faults`. `config` is not kept.
struct schema_set *schema_set_load(const struct config *config, struct config_faults *faults);
void schema_set_free(struct schema_set **set);

struct pipeline *pipeline_create(void);
void pipeline_destroy(struct pipeline **pipeline);
// What it works with from now on (all three stay the caller's); forgets what it holds.
void pipeline_use(struct pipeline *pipeline, const struct config *config,
                  const struct schema_set *schemas, struct sink *sink);

// Whether rows can be pushed at all: the sink has read its catalog.
bool pipeline_ready(const struct pipeline *pipeline);

// Decodes and pushes. `stream` is an index into config.streams, or CONFIG_NONE for a stream that
// the configuration does not know any more (dead letter "stream.unknown"). SINK_BUSY: it is held,
// and pipeline_retry() must come before the next push; `payload` need not stay.
enum sink_push pipeline_push(struct pipeline *pipeline, size_t stream, enum decode_frame frame,
                             const char *payload, size_t length, const struct sink_origin *origin);
// Offers what is held again; SINK_TAKEN also when nothing is.
enum sink_push pipeline_retry(struct pipeline *pipeline);
// Forgets what is held (the source reads it again).
void pipeline_forget(struct pipeline *pipeline);

#endif

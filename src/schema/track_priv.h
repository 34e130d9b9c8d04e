// SPDX-License-Identifier: Apache-2.0
// Scratch memory of validation for programs that record what is evaluated, or bind dynamic anchors.
#ifndef CXSINK_SCHEMA_TRACK_PRIV_H
#define CXSINK_SCHEMA_TRACK_PRIV_H

#include <stddef.h>

struct tracker;

struct tracker *tracker_create(size_t n_slots);
void tracker_destroy(struct tracker **tracker);

#endif

// SPDX-License-Identifier: Apache-2.0
// Renders the metrics table as Prometheus text (exposition format 0.0.4).
#ifndef CXSINK_OPS_METRICS_H
#define CXSINK_OPS_METRICS_H

#include "core/buf.h"

// Every metric that has a series, and the process_* standards read from /proc/self.
void metrics_render(struct buf *out);

#endif

// SPDX-License-Identifier: Apache-2.0
// The drop directory: *.json files put there are queued (source "drop") and moved to done/, or to
// failed/ with NAME.error beside them. The queue must outlive it. Logs what it does.
#ifndef CXSINK_JOBS_DROP_H
#define CXSINK_JOBS_DROP_H

struct config;
struct drop;
struct loop;
struct queue;

// Watches config.jobs.drop_dir (none: does nothing). A directory that cannot be watched is told and
// tried again every few seconds. `config` until drop_reconfigure.
struct drop *drop_create(struct loop *loop, struct queue *queue, const struct config *config);
void drop_reconfigure(struct drop *drop, const struct config *config);
// NULL is fine. What is being queued is moved when it is found again.
void drop_destroy(struct drop **drop);

#endif

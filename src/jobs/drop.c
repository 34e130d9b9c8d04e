// SPDX-License-Identifier: Apache-2.0
#include "jobs/drop.h"

#include <stddef.h>

struct drop *drop_create(struct loop *loop, struct queue *queue, const struct config *config)
{
    (void)loop, (void)queue, (void)config;
    return NULL;
}

void drop_reconfigure(struct drop *drop, const struct config *config)
{
    (void)drop, (void)config;
}

void drop_destroy(struct drop **drop)
{
    *drop = NULL;
}

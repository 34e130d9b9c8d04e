// SPDX-License-Identifier: Apache-2.0
#include "config/ref.h"

#include "config/load.h"
#include "core/mem.h"

#include <stdlib.h>

struct config_ref *config_ref_new(struct config *config)
{
    struct config_ref *ref = mem_alloc(sizeof(*ref));
    *ref = (struct config_ref){config, 1};
    return ref;
}

struct config_ref *config_ref_take(struct config_ref *ref)
{
    ref->refs++;
    return ref;
}

void config_ref_drop(struct config_ref **pointer)
{
    struct config_ref *ref = *pointer;
    *pointer = NULL;
    if (ref == NULL || --ref->refs > 0)
        return;
    config_free(&ref->config);
    free(ref);
}

// SPDX-License-Identifier: Apache-2.0
#include "app/environment.h"

#include "core/mem.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

void environment_hide(void)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    char **moved = mem_zalloc((count + 1) * sizeof(*moved)); // for as long as the process lives
    for (size_t i = 0; i < count; i++) {
        moved[i] = mem_strdup(environ[i]);
        mem_wipe(environ[i], strlen(environ[i]));
    }
    environ = moved;
}

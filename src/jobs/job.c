// SPDX-License-Identifier: Apache-2.0
#include "jobs/job.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define JOB_STATE_NAME(identifier, name, sentence) [JOB_##identifier] = name,
    JOB_STATES(JOB_STATE_NAME)
#undef JOB_STATE_NAME
};

const char *job_state_name(enum job_state state)
{
    return names[state];
}

bool job_state_parse(const char *name, enum job_state *state_r)
{
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *state_r = (enum job_state)i;
            return true;
        }
    }
    return false;
}

void job_free(struct job **pointer)
{
    struct job *job = *pointer;
    if (job == NULL)
        return;
    *pointer = NULL;
    free(job->id);
    free(job->action);
    free(job->params);
    free(job->data.text);
    free(job->remote_id);
    free(job->progress);
    free(job);
}

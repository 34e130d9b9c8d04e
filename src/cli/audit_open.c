// SPDX-License-Identifier: Apache-2.0
// How a command gets at the audit log.
#include "cli/common.h"
#include "core/log.h"
#include "core/mem.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Who is at the command line; sudo(8) tells who was before. Owned.
static char *user_name(void)
{
    const struct passwd *entry = getpwuid(geteuid());
    const char *sudo = getenv("SUDO_USER");
    char *name =
        entry != NULL ? mem_strdup(entry->pw_name) : mem_printf("uid %ld", (long)geteuid());
    if (sudo == NULL || sudo[0] == '\0' || geteuid() != 0)
        return name;
    char *both = mem_printf("%s as %s", sudo, name);
    free(name);
    return both;
}

struct audit *cli_audit_open(const struct config *config, const char *command)
{
    struct status st = {0};
    char *user = user_name();
    struct audit *audit = audit_open_configured(config, user, &st);
    bool journal = log_audit_to(LOG_TARGET_JOURNAL);
    if (!journal)
        log_audit_to(audit != NULL ? LOG_TARGET_AUTO : LOG_TARGET_JSON);
    if (audit == NULL)
        fprintf(stderr, "cxsink %s: %s; what is done is told to %s alone\n", command, st.detail,
                journal ? "the journal" : "stderr");
    free(user);
    return audit;
}

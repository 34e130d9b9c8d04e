// SPDX-License-Identifier: Apache-2.0
#include "app/addresses.h"

#include "core/mem.h"
#include "pg/conn.h"
#include "stream/url.h"

#include <stdlib.h>

void addresses_check(const struct config *config, struct config_faults *faults)
{
    for (size_t i = 0; i < config->n_streams; i++) {
        struct ws_url url;
        struct status st = {0};
        if (ws_url_parse(config->streams[i].url, &url, &st) == STATUS_OK)
            continue;
        char *pointer = mem_printf("/streams/%s/url", config->streams[i].name);
        config_faults_add(faults, 0, pointer, "%s", st.detail);
        free(pointer);
    }
    struct status st = {0};
    if (pg_dsn_check(config->postgres.dsn, &st) != STATUS_OK)
        config_faults_add(faults, 0, "/postgres/dsn", "%s", st.detail);
}

// SPDX-License-Identifier: Apache-2.0
// cxsink spool: figures of a spool, and whether it is whole.
#include "cli/spool.h"

#include "app/daemon.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/mem.h"
#include "spool/spool.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: cxsink spool stat|verify [-c FILE | --dir DIR] [--json]\n"
    "\n"
    "Looks into the spool without changing it, also while the daemon runs.\n"
    "\n"
    "  stat    shows what it holds\n"
    "  verify  checks every record and lists the damaged places\n"
    "\n"
    "  -c, --config FILE  the daemon's configuration: the spool is in its state_dir\n"
    "      --dir DIR      the spool's directory, without reading a configuration\n"
    "      --json         the report as JSON\n"
    "\n"
    "Exit codes: 0 done; 1 verify found damage, or there is no spool to look into;\n"
    "64 wrong usage; 78 configuration fault.\n";

struct options {
    const char *config;
    const char *dir;
    bool json;
    bool verify;
};

// The damaged places, as they are met.
struct places {
    const struct options *options;
    const char *dir;
    struct buf json; // members of an array
};

static void on_corrupt(void *owner, const char *file, uint64_t offset, uint64_t bytes,
                       const char *what)
{
    struct places *places = owner;
    if (!places->options->verify)
        return;
    if (!places->options->json) {
        printf("%s/%s: offset %" PRIu64 ": %" PRIu64 " bytes: %s\n", places->dir, file, offset,
               bytes, what);
        return;
    }
    buf_append_text(&places->json, places->json.len > 0 ? ",{\"file\":" : "{\"file\":");
    buf_json_string(&places->json, file, strlen(file));
    buf_printf(&places->json, ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"what\":", offset,
               bytes);
    buf_json_string(&places->json, what, strlen(what));
    buf_append_text(&places->json, "}");
}

static void print_json(const struct places *places, const struct spool_report *report)
{
    struct buf out = {0};
    char id[UUID_TEXT_SIZE], oldest[32];
    uuid_format(&report->id, id);
    buf_append_text(&out, "{\"dir\":");
    buf_json_string(&out, places->dir, strlen(places->dir));
    buf_printf(&out,
               ",\"id\":\"%s\",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"records\":%" PRIu64
               ",\"unacknowledged\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
               ",\"acked_seq\":%" PRIu64,
               id, report->segments, report->bytes, report->records, report->unacknowledged,
               report->first_seq, report->last_seq, report->acked_seq);
    wall_format(report->oldest_us, oldest, sizeof oldest);
    if (report->oldest_us != 0)
        buf_printf(&out, ",\"oldest_at\":\"%s\"", oldest);
    else
        buf_append_text(&out, ",\"oldest_at\":null");
    buf_printf(&out, ",\"corrupt_places\":%" PRIu64 ",\"corrupt_bytes\":%" PRIu64,
               report->corrupt_places, report->corrupt_bytes);
    if (places->options->verify) {
        buf_append_text(&out, ",\"damage\":[");
        buf_append(&out, places->json.data, places->json.len);
        buf_append_text(&out, "]");
    }
    printf("%s}\n", buf_text(&out));
    buf_deinit(&out);
}

static void print_bytes(const char *name, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double scaled = (double)bytes / 1024;
    size_t unit = 0;
    for (; scaled >= 1024 && unit < 3; unit++)
        scaled /= 1024;
    printf("%-15s %" PRIu64, name, bytes);
    if (bytes >= 1024)
        printf(" (%.1f %s)", scaled, units[unit]);
    printf("\n");
}

static void print_table(const struct places *places, const struct spool_report *report)
{
    char id[UUID_TEXT_SIZE], oldest[32];
    uuid_format(&report->id, id);
    printf("spool           %s\nid              %s\n", places->dir, id);
    printf("segments        %" PRIu64 "\n", report->segments);
    print_bytes("bytes", report->bytes);
    printf("records         %" PRIu64, report->records);
    if (report->records != 0)
        printf(" (numbers %" PRIu64 " to %" PRIu64 ")", report->first_seq, report->last_seq);
    printf("\nacknowledged    up to number %" PRIu64 "\n", report->acked_seq);
    printf("unacknowledged  %" PRIu64, report->unacknowledged);
    if (report->oldest_us != 0) {
        wall_format(report->oldest_us, oldest, sizeof oldest);
        printf(" (the oldest from %s)", oldest);
    }
    printf("\ndamaged places  %" PRIu64, report->corrupt_places);
    if (report->corrupt_places != 0)
        printf(" (%" PRIu64 " bytes)%s", report->corrupt_bytes,
               places->options->verify ? "" : "; `cxsink spool verify` lists them");
    printf("\n");
}

static int look(const struct options *options, const char *dir)
{
    struct places places = {.options = options, .dir = dir};
    struct spool_callbacks callbacks = {.corrupt = on_corrupt};
    struct spool_report report;
    struct status st = {0};
    if (spool_inspect(dir, &callbacks, &places, &report, &st) != STATUS_OK) {
        fprintf(stderr, "cxsink spool: %s\n", st.detail);
        buf_deinit(&places.json);
        return EXIT_NO;
    }
    if (options->json)
        print_json(&places, &report);
    else
        print_table(&places, &report);
    buf_deinit(&places.json);
    return options->verify && report.corrupt_places != 0 ? EXIT_NO : EXIT_DONE;
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(options, config),
    CLI_OPTION(options, "dir", CLI_TEXT, dir),
    CLI_OPTION(options, "json", CLI_FLAG, json),
};
static const struct cli_options table = {.command = "spool",
                                         .help = help,
                                         .list = list,
                                         .n = sizeof(list) / sizeof(list[0]),
                                         .arguments = true};

// CLI_GO_ON, else the exit code.
static int parse_options(int argc, char **argv, struct options *options_r)
{
    int code = cli_options_read(&table, argc, argv, options_r);
    if (code != CLI_GO_ON)
        return code;
    if (optind + 1 != argc)
        return cli_usage_error("spool", "one of stat and verify is needed");
    options_r->verify = strcmp(argv[optind], "verify") == 0;
    if (!options_r->verify && strcmp(argv[optind], "stat") != 0)
        return cli_usage_error("spool", "unknown action %s", argv[optind]);
    if (options_r->config != NULL && options_r->dir != NULL)
        return cli_usage_error("spool", "-c and --dir exclude each other");
    return CLI_GO_ON;
}

int cli_spool(int argc, char **argv)
{
    struct options options = {0};
    int code = parse_options(argc, argv, &options);
    if (code != CLI_GO_ON)
        return code;
    if (options.dir != NULL)
        return look(&options, options.dir);
    char *state_dir = cli_state_dir(options.config);
    if (state_dir == NULL)
        return EXIT_CONFIG;
    char *dir = mem_printf("%s/spool", state_dir);
    code = look(&options, dir);
    free(dir);
    free(state_dir);
    return code;
}

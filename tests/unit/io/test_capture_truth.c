/*
 * Real captures, read whole: the packets, IP bytes and payload bytes of TCP are
 * those of NAME.truth.tsv beside them, which another decoder made. Captures
 * whose TCP is inside of tunnels are left out: it is not ours to unwrap.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/fragment.h"
#include "io/capture_file.h"
#include "support/skip.h"

enum { FIELDS_MAX = 40, LINE_MAX_BYTES = 65536 };

struct sums {
    uint64_t packets; /* fragments one by one */
    uint64_t ip_bytes;
    uint64_t payload_bytes;
};

struct truth {
    struct sums tcp;
    bool tunnel;
};

/* Cut @line at its tabs; empty fields count. Returns their number. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    while (line && count < FIELDS_MAX)
        fields[count++] = strsep(&line, "\t");
    return count;
}

static size_t column_of(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    fail_msg("the truth has no column %s", name);
    return 0;
}

static uint64_t sum_columns(char *const *names, size_t count, char *const *fields, const char *a,
                            const char *b)
{
    return strtoull(fields[column_of(names, count, a)], NULL, 10) +
           strtoull(fields[column_of(names, count, b)], NULL, 10);
}

static struct truth truth_read(const char *path)
{
    static char line[LINE_MAX_BYTES], header[LINE_MAX_BYTES];
    struct truth truth = {.tunnel = false};
    char *names[FIELDS_MAX], *fields[FIELDS_MAX];
    size_t name_count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "#CONN\t", 6) == 0)
            name_count = split(strcpy(header, line), names);
        size_t count = split(line, fields);
        if (count == 3 && strcmp(fields[0], "META") == 0 && strcmp(fields[1], "tunnel") == 0)
            truth.tunnel = fields[2][0] != '\0';
        if (strcmp(fields[0], "CONN") != 0)
            continue;
        truth.tcp.packets += sum_columns(names, name_count, fields, "c2s_pkts", "s2c_pkts");
        truth.tcp.ip_bytes += sum_columns(names, name_count, fields, "c2s_ip", "s2c_ip");
        truth.tcp.payload_bytes += sum_columns(names, name_count, fields, "c2s_tcp", "s2c_tcp");
    }
    fclose(file);
    return truth;
}

static void sums_add(struct sums *sums, const struct packet *p)
{
    sums->packets += p->packets;
    sums->ip_bytes += packet_ip_bytes(p);
    sums->payload_bytes += p->payload_bytes;
}

static void count_frame(struct sums *sums, struct fragment_table *fragments, const struct frame *f)
{
    struct packet p;
    struct fragment fragment;
    switch (packet_decode(f, &p, &fragment)) {
    case PACKET_FRAGMENT:
        if (fragment_table_add(fragments, &fragment, &p) == FRAGMENT_COMPLETE)
            sums_add(sums, &p);
        break;
    case PACKET_TCP:
    case PACKET_MALFORMED:
        sums_add(sums, &p);
        break;
    case PACKET_OTHER:
        break;
    }
}

static struct sums capture_read(const char *path)
{
    struct sums sums = {0};
    struct fragment_table *fragments;
    struct fragment_options options = {
        .datagrams_max = 100,
        .bytes_max = 1 << 20,
        .timeout_ns = UINT64_MAX,
    };
    assert_int_equal(fragment_table_new(&fragments, &options), 0);
    struct capture_file *c;
    struct capture_file_error error;
    assert_int_equal(capture_file_open(&c, path, &error), 0);
    assert_int_equal(capture_file_begin(c, &error), 0);
    struct frame f;
    enum capture_file_step step;
    while ((step = capture_file_next(c, &f, &error)) == CAPTURE_FILE_FRAME)
        count_frame(&sums, fragments, &f);
    assert_int_equal(step, CAPTURE_FILE_END);
    assert_int_equal(capture_file_position(c), capture_file_size(c));
    assert_int_equal(fragment_table_pending_bytes(fragments), 0);
    assert_int_equal(fragment_table_take_untracked(fragments), 0);
    capture_file_close(c);
    fragment_table_free(fragments);
    return sums;
}

/* Returns whether the capture at @truth_path was compared. */
static bool compare(const char *truth_path)
{
    static const char suffix[] = ".truth.tsv";
    char path[4096];
    snprintf(path, sizeof(path), "%.*s.pcap", (int)(strlen(truth_path) - strlen(suffix)),
             truth_path);
    struct truth truth = truth_read(truth_path);
    if (truth.tunnel) {
        print_message("left out, TCP inside of a tunnel: %s\n", strrchr(path, '/') + 1);
        return false;
    }
    struct sums sums = capture_read(path);
    print_message("%s: %ju packets, %ju IP bytes\n", strrchr(path, '/') + 1,
                  (uintmax_t)sums.packets, (uintmax_t)sums.ip_bytes);
    assert_int_equal(sums.packets, truth.tcp.packets);
    assert_int_equal(sums.ip_bytes, truth.tcp.ip_bytes);
    assert_int_equal(sums.payload_bytes, truth.tcp.payload_bytes);
    return true;
}

static void tcp_of_real_captures_is_counted_as_another_decoder_does(void **state)
{
    const glob_t *found = *state;
    unsigned compared = 0;
    for (size_t i = 0; i < found->gl_pathc; i++)
        compared += compare(found->gl_pathv[i]);
    assert_int_not_equal(compared, 0);
}

int main(void)
{
    glob_t found;
    if (glob(test_shared_path("pcaps/*.truth.tsv"), 0, NULL, &found) != 0)
        test_skip("no captures: %s", test_shared_path("pcaps"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(tcp_of_real_captures_is_counted_as_another_decoder_does, &found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    globfree(&found);
    return failed;
}

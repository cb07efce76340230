#include "io/capture_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

enum { PCAP_HEADER = 24, RECORD_HEADER = 16, FILE_MAX = 4096 };

#define MAGIC_MICRO 0xa1b2c3d4u
#define MAGIC_NANO  0xa1b23c4du

/* A capture file under construction. */
struct file {
    uint8_t data[FILE_MAX];
    size_t size;
};

static char path[] = "test_capture_file.XXXXXX";

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(struct file *file, const void *data, size_t size)
{
    assert_in_range(file->size + size, 0, FILE_MAX);
    memcpy(file->data + file->size, data, size);
    file->size += size;
}

static void put_words(struct file *file, const uint32_t *words, size_t count)
{
    put(file, words, count * sizeof(*words));
}
#define PUT_WORDS(file, ...)                                                                       \
    put_words(file, (const uint32_t[]){__VA_ARGS__},                                               \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct file pcap_make(uint32_t magic, uint32_t link_type)
{
    struct file file = {.size = 0};
    PUT_WORDS(&file, magic, 4 << 16 | 2, 0, 0, 65535, link_type);
    return file;
}

static void pcap_put(struct file *file, uint32_t s, uint32_t fraction, const char *captured,
                     uint32_t wire_bytes)
{
    PUT_WORDS(file, s, fraction, (uint32_t)strlen(captured), wire_bytes);
    put(file, captured, strlen(captured));
}

static void save(const struct file *file, size_t size)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file->data, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static struct capture_file *open_saved(const struct file *file, size_t size)
{
    save(file, size);
    struct capture_file *c;
    struct capture_file_error error;
    assert_int_equal(capture_file_open(&c, path, &error), 0);
    assert_int_equal(capture_file_begin(c, &error), 0);
    assert_int_equal(capture_file_size(c), size);
    return c;
}

static void assert_frame(struct capture_file *c, uint64_t time_ns, const char *data,
                         uint32_t wire_bytes)
{
    struct frame f;
    struct capture_file_error error;
    assert_int_equal(capture_file_next(c, &f, &error), CAPTURE_FILE_FRAME);
    assert_int_equal(f.time_ns, time_ns);
    assert_int_equal(f.wire_bytes, wire_bytes);
    assert_true(bytes_equal(f.data, bytes_from_string(data)));
}

static void assert_end(struct capture_file *c)
{
    struct frame f;
    struct capture_file_error error;
    assert_int_equal(capture_file_next(c, &f, &error), CAPTURE_FILE_END);
    assert_int_equal(capture_file_position(c), capture_file_size(c));
    capture_file_close(c);
}

static void pcap_of_microseconds_and_of_nanoseconds(void **state)
{
    (void)state;
    static const uint32_t magics[] = {MAGIC_MICRO, MAGIC_NANO};
    static const uint64_t fraction_ns[] = {1000, 1};
    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        struct file file = pcap_make(magics[i], 101);
        pcap_put(&file, 1532038700, 123456, "E..", 1500);
        pcap_put(&file, 2000000000, 7, "E", 1);
        struct capture_file *c = open_saved(&file, file.size);
        assert_frame(c, UINT64_C(1532038700000000000) + 123456 * fraction_ns[i], "E..", 1500);
        assert_int_equal(capture_file_position(c), PCAP_HEADER + RECORD_HEADER + 3);
        assert_frame(c, UINT64_C(2000000000000000000) + 7 * fraction_ns[i], "E", 1);
        assert_end(c);
    }
}

static void pcapng_is_read(void **state)
{
    (void)state;
    struct file file = {.size = 0};
    PUT_WORDS(&file, 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28);
    PUT_WORDS(&file, 1, 20, 101, 0, 20);
    uint64_t time_us = UINT64_C(1532038700123456);
    PUT_WORDS(&file, 6, 36, 0, (uint32_t)(time_us >> 32), (uint32_t)time_us, 4, 90);
    put(&file, "E...", 4);
    PUT_WORDS(&file, 36);
    struct capture_file *c = open_saved(&file, file.size);
    assert_frame(c, time_us * 1000, "E...", 90);
    assert_end(c);
}

static void link_header_is_taken_off(void **state)
{
    (void)state;
    struct file file = pcap_make(MAGIC_MICRO, 1);
    pcap_put(&file, 1, 0, "aaaaaabbbbbb\x08", 60); /* shorter than its header: skipped */
    pcap_put(&file, 2, 0,
             "aaaaaabbbbbb\x08\x06"
             "arp",
             60);
    struct capture_file *c = open_saved(&file, file.size);
    assert_frame(c, UINT64_C(2000000000), "arp", 46);
    assert_end(c);
}

static void length_on_the_wire_is_at_least_what_was_captured(void **state)
{
    (void)state;
    struct file file = pcap_make(MAGIC_MICRO, 101);
    pcap_put(&file, 1, 0, "E....", 2);
    struct capture_file *c = open_saved(&file, file.size);
    assert_frame(c, UINT64_C(1000000000), "E....", 5);
    assert_end(c);
}

/* The frames that were whole count, and only a cut between two frames is no error. */
static void file_cut_at_every_byte(void **state)
{
    (void)state;
    struct file file = pcap_make(MAGIC_MICRO, 101);
    for (int i = 0; i < 3; i++)
        pcap_put(&file, 1, 0, "E.......", 8);
    for (size_t size = PCAP_HEADER; size <= file.size; size++) {
        struct capture_file *c = open_saved(&file, size);
        size_t whole = (size - PCAP_HEADER) / (RECORD_HEADER + 8);
        for (size_t i = 0; i < whole; i++)
            assert_frame(c, UINT64_C(1000000000), "E.......", 8);
        if (PCAP_HEADER + whole * (RECORD_HEADER + 8) == size) {
            assert_end(c);
            continue;
        }
        struct frame f;
        struct capture_file_error error;
        assert_int_equal(capture_file_next(c, &f, &error), CAPTURE_FILE_BROKEN);
        assert_memory_equal(error.message, path, strlen(path));
        assert_non_null(strstr(error.message, "truncated"));
        capture_file_close(c);
    }
}

static void assert_refused(const char *name, int code, const char *message)
{
    struct capture_file *c = NULL;
    struct capture_file_error error;
    int r = capture_file_open(&c, name, &error);
    if (r == 0)
        r = capture_file_begin(c, &error);
    capture_file_close(c);
    assert_int_equal(r, code);
    assert_memory_equal(error.message, name, strlen(name));
    assert_non_null(strstr(error.message, message));
    assert_null(strchr(error.message, '\n'));
}

static void what_is_no_capture_is_refused(void **state)
{
    (void)state;
    struct file file = {.size = 0};
    put(&file, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 28);
    for (size_t size = 0; size <= file.size; size++) {
        save(&file, size);
        assert_refused(path, -EINVAL, size < 4 ? "truncated" : "unknown file format");
    }
    assert_refused("/", -EINVAL, "Is a directory");
    assert_refused("/nonexistent/file", -ENOENT, "No such file or directory");
}

static void unknown_link_type_is_refused_by_name(void **state)
{
    (void)state;
    struct file file = pcap_make(MAGIC_MICRO, 105);
    save(&file, file.size);
    assert_refused(path, -ENOTSUP, "link type IEEE802_11 (105) is not supported");
    file = pcap_make(MAGIC_MICRO, 5000);
    save(&file, file.size);
    assert_refused(path, -ENOTSUP, "link type unknown (5000) is not supported");
}

static void standard_input_has_no_size(void **state)
{
    (void)state;
    struct file file = pcap_make(MAGIC_MICRO, 101);
    pcap_put(&file, 1, 0, "E...", 4);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], file.data, file.size), file.size);
    close(ends[1]);
    assert_int_not_equal(dup2(ends[0], STDIN_FILENO), -1);
    close(ends[0]);

    struct capture_file *c;
    struct capture_file_error error;
    assert_int_equal(capture_file_open(&c, "-", &error), 0);
    assert_int_equal(capture_file_begin(c, &error), 0);
    assert_frame(c, UINT64_C(1000000000), "E...", 4);
    assert_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_of_microseconds_and_of_nanoseconds),
        cmocka_unit_test(pcapng_is_read),
        cmocka_unit_test(link_header_is_taken_off),
        cmocka_unit_test(length_on_the_wire_is_at_least_what_was_captured),
        cmocka_unit_test(file_cut_at_every_byte),
        cmocka_unit_test(what_is_no_capture_is_refused),
        cmocka_unit_test(unknown_link_type_is_refused_by_name),
        cmocka_unit_test(standard_input_has_no_size),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}

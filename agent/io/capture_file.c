#include "io/capture_file.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/link.h"

#define NS_PER_S UINT64_C(1000000000)

struct capture_file {
    char *name; /* for messages */
    FILE *file; /* as long as pcap has not taken it over */
    pcap_t *pcap;
    uint64_t size;
};

/* Returns @code. */
static int fail(struct capture_file_error *error, int code, const char *name, const char *reason)
{
    snprintf(error->message, sizeof(error->message), "%s: %s", name, reason);
    return code;
}

static uint64_t size_of(FILE *file)
{
    struct stat status;
    bool regular = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    return regular ? (uint64_t)status.st_size : 0;
}

static int open_pcap(struct capture_file *c, struct capture_file_error *error)
{
    char reason[PCAP_ERRBUF_SIZE];
    c->pcap = pcap_fopen_offline_with_tstamp_precision(c->file, PCAP_TSTAMP_PRECISION_NANO, reason);
    if (!c->pcap)
        return fail(error, -EINVAL, c->name, reason);
    c->file = NULL;
    return 0;
}

static int check_link_type(const struct capture_file *c, struct capture_file_error *error)
{
    int link_type = pcap_datalink(c->pcap);
    if (link_supported(link_type))
        return 0;

    const char *name = pcap_datalink_val_to_name(link_type);
    char reason[128];
    snprintf(reason, sizeof(reason), "link type %s (%d) is not supported", name ? name : "unknown",
             link_type);
    return fail(error, -ENOTSUP, c->name, reason);
}

int capture_file_open(struct capture_file **out, const char *path, struct capture_file_error *error)
{
    bool is_stdin = strcmp(path, "-") == 0;
    AUTO(capture_file_close) struct capture_file *c = calloc(1, sizeof(*c));
    if (!c || !(c->name = strdup(is_stdin ? "standard input" : path)))
        return fail(error, -ENOMEM, path, strerror(ENOMEM));
    c->file = is_stdin ? stdin : fopen(path, "rbe");
    if (!c->file)
        return fail(error, -errno, path, strerror(errno));

    c->size = size_of(c->file);
    *out = TAKE(c);
    return 0;
}

int capture_file_begin(struct capture_file *c, struct capture_file_error *error)
{
    int r = open_pcap(c, error);
    return r < 0 ? r : check_link_type(c, error);
}

struct capture_file *capture_file_close(struct capture_file *c)
{
    if (!c)
        return NULL;
    if (c->pcap)
        pcap_close(c->pcap);
    if (c->file && c->file != stdin)
        fclose(c->file);
    free(c->name);
    free(c);
    return NULL;
}

enum capture_file_step capture_file_next(struct capture_file *c, struct frame *f,
                                         struct capture_file_error *error)
{
    for (;;) {
        struct pcap_pkthdr *header;
        const u_char *data;
        int r = pcap_next_ex(c->pcap, &header, &data);
        if (r == PCAP_ERROR_BREAK)
            return CAPTURE_FILE_END;
        if (r != 1) {
            fail(error, -EINVAL, c->name, pcap_geterr(c->pcap));
            return CAPTURE_FILE_BROKEN;
        }
        uint32_t wire_bytes = MAX(header->len, header->caplen);
        if (!link_decode(pcap_datalink(c->pcap), bytes_make(data, header->caplen), wire_bytes, f))
            continue;
        /* With nanosecond precision, libpcap has nanoseconds in tv_usec. */
        f->time_ns = (uint64_t)header->ts.tv_sec * NS_PER_S + (uint64_t)header->ts.tv_usec;
        return CAPTURE_FILE_FRAME;
    }
}

uint64_t capture_file_position(const struct capture_file *c)
{
    off_t position = ftello(pcap_file(c->pcap));
    return position > 0 ? (uint64_t)position : 0;
}

uint64_t capture_file_size(const struct capture_file *c)
{
    return c->size;
}

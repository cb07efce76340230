/*
 * Lines for StatsD receivers, in one of three dialects:
 *
 *     graphite  httpacct.web1.yo.in.bytes:136|c
 *               httpacct.web1.yo.replies.2xx:1|c
 *               httpacct.web1.yo.ttfb.p95:12.3|g
 *               httpacct.web1.agent.eth0.tcp_bytes:9000|c
 *     graphite-tags
 *               httpacct.bytes;service=yo;direction=in;interface=eth0;host=web1:136|c
 *               httpacct.replies;service=yo;class=2xx;interface=eth0;host=web1:1|c
 *               httpacct.ttfb;service=yo;quantile=p95;interface=eth0;host=web1:12.3|g
 *               httpacct.agent.tcp_bytes;interface=eth0;host=web1:9000|c
 *     datadog   httpacct.bytes:136|c|#service:yo,direction:in,interface:eth0
 *               httpacct.replies:1|c|#service:yo,class:2xx,interface:eth0
 *               httpacct.ttfb:12.3|d|@0.04|#service:yo,interface:eth0
 *               httpacct.agent.tcp_bytes:9000|c|#interface:eth0
 *
 * A timing is in milliseconds. Receivers of Graphite's lines do not agree on what
 * a sampled timing is (collectd divides the time by the rate, statsd takes
 * percentiles of what came and not of what it stands for), so there the agent
 * sends percentiles, as gauges.
 *
 * Names are those of core/statsd_name.h. Of a graphite line no name is longer
 * than the 127 bytes after which collectd cuts it.
 *
 * Owns     copies of its options
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/text.h"
#include "core/due.h"

/* X(NAME, name) for each dialect, by its name in the config. */
#define STATSD_DIALECTS(X)                                                                         \
    X(GRAPHITE, "graphite")                                                                        \
    X(GRAPHITE_TAGS, "graphite-tags")                                                              \
    X(DATADOG, "datadog")

enum statsd_dialect {
#define STATSD_DIALECT_MEMBER(NAME, name) STATSD_##NAME,
    STATSD_DIALECTS(STATSD_DIALECT_MEMBER)
#undef STATSD_DIALECT_MEMBER
};

/* Find the dialect called @name. Returns whether there is one. */
bool statsd_dialect_find(enum statsd_dialect *dialect, const char *name);

enum { STATSD_PREFIX_MAX = 40, STATSD_TAG_MAX = 200 };

/* NULL, or what is wrong with @prefix in a few words. */
const char *statsd_prefix_check(const char *prefix);

/* The same for @tag, as Datadog takes it: "env:prod". */
const char *statsd_tag_check(const char *tag);

/*
 * The same for a tag that has passed that, as carbon takes it from statsd, which
 * takes other bytes out: "env:prod" becomes env=prod.
 */
const char *statsd_tag_check_graphite(const char *tag);

struct statsd_encoder_options {
    enum statsd_dialect dialect;
    const char *prefix;
    const char *host;        /* graphite: a node after the prefix, graphite-tags: a tag, or NULL */
    const char *const *tags; /* after all others; graphite: unused */
    size_t tag_count;
};

struct statsd_encoder;

int statsd_encoder_new(struct statsd_encoder **out, const struct statsd_encoder_options *options);
struct statsd_encoder *statsd_encoder_free(struct statsd_encoder *e);
AUTO_DEFINE(struct statsd_encoder, statsd_encoder_free)

/* Add @l, without a line end. */
void statsd_encoder_add(const struct statsd_encoder *e, const struct due_line *l, struct text *t);

/* Add the line that says that the agent is there. */
void statsd_encoder_add_heartbeat(const struct statsd_encoder *e, struct text *t);

/* At least as many bytes as any line. */
size_t statsd_encoder_line_max(const struct statsd_encoder *e);

#include "core/transaction.h"

#include <stdlib.h>

#include "base/text.h"

/* Copies of what the heads said; a view's data points into the texts. */
struct transaction_words {
    struct text request; /* method, target, host, one after the other */
    uint32_t method_size;
    uint32_t target_size;
    bool has_host;
    uint8_t request_minor;
    struct text reason;
    uint8_t reply_minor;
};

struct transaction *transaction_new(struct pool *pool)
{
    struct transaction *t = pool_take(pool);
    if (t)
        *t = (struct transaction){0};
    return t;
}

static void words_free(struct transaction_words *w)
{
    if (!w)
        return;
    text_deinit(&w->request);
    text_deinit(&w->reason);
    free(w);
}

struct transaction *transaction_free(struct transaction *t, struct pool *pool)
{
    if (t)
        words_free(t->words);
    pool_give(pool, t);
    return NULL;
}

static struct transaction_words *words_of(struct transaction *t)
{
    if (!t->words)
        t->words = calloc(1, sizeof(*t->words));
    return t->words;
}

void transaction_set_request(struct transaction *t, const struct http_head *head, bool with_words)
{
    t->has_request = true;
    t->connect = head->connect;
    t->headless = head->headless;
    t->upgrade = head->upgrade;
    if (!with_words || !words_of(t))
        return;

    struct transaction_words *w = t->words;
    text_add(&w->request, head->method);
    text_add(&w->request, head->target);
    text_add(&w->request, head->host);
    w->method_size = (uint32_t)head->method.size;
    w->target_size = (uint32_t)head->target.size;
    w->has_host = head->host.data != NULL;
    w->request_minor = head->minor;
}

void transaction_set_reply(struct transaction *t, const struct http_head *head, bool with_words)
{
    t->status = head->status;
    if (!with_words || !words_of(t))
        return;
    text_add(&t->words->reason, head->reason);
    t->words->reply_minor = head->minor;
}

struct request_words {
    struct bytes method;
    struct bytes target;
    struct bytes host;
};

/* What is known of the request: all or nothing, should memory have been short. */
static struct request_words request_words(const struct transaction *t)
{
    const struct transaction_words *w = t->words;
    if (!t->has_request || !w || text_failed(&w->request) || !w->request.data)
        return (struct request_words){0};

    struct bytes all = bytes_make(w->request.data, w->request.size);
    struct request_words words = {.method = bytes_take(&all, w->method_size),
                                  .target = bytes_take(&all, w->target_size)};
    if (w->has_host)
        words.host = all;
    return words;
}

static void add_start_line(struct text *line, const struct transaction *t, enum direction d)
{
    if (!t->words)
        return;
    if (d == DIRECTION_OUT) {
        if (t->status == 0)
            return;
        text_printf(line, "HTTP/1.%u %03u", t->words->reply_minor, t->status);
        if (t->words->reason.size)
            text_add_char(line, ' ');
        text_add(line, bytes_make(t->words->reason.data, t->words->reason.size));
        return;
    }
    struct request_words words = request_words(t);
    if (!words.method.data)
        return;
    text_add(line, words.method);
    text_add_char(line, ' ');
    text_add(line, words.target);
    text_printf(line, " HTTP/1.%u", t->words->request_minor);
}

void transaction_tell_message(const struct transaction *t, enum direction d,
                              const struct observer *o)
{
    if (!o->message)
        return;

    AUTO(text_deinit) struct text line;
    text_init(&line);
    add_start_line(&line, t, d);
    o->message(o->context, &(struct message_seen){
                               .direction = d,
                               .start_line = bytes_make(line.data, line.size),
                               .service = &t->service->name,
                               .ip_bytes = t->counts[d].bytes,
                               .service_bytes = t->service->total.direction[d].bytes,
                           });
}

void transaction_tell(const struct transaction *t, const struct address *client,
                      const struct address *server, const struct observer *o)
{
    if (!o->transaction)
        return;

    struct request_words words = request_words(t);
    struct transaction_seen seen = {
        .time_ns = t->time_ns,
        .client = *client,
        .server = *server,
        .service = &t->service->name,
        .method = words.method,
        .host = words.host,
        .target = words.target,
        .status = t->status,
        .interim_count = t->interim_count,
        .has_ttfb = t->has_request && t->reply_time_ns,
        .ttfb_ns = t->reply_time_ns > t->time_ns ? t->reply_time_ns - t->time_ns : 0,
    };
    memcpy(seen.interim, t->interim, sizeof(seen.interim));
    for (enum direction d = DIRECTION_IN; d <= DIRECTION_OUT; d++) {
        seen.direction[d].ip_bytes = t->counts[d].bytes;
        seen.direction[d].payload_bytes = t->counts[d].payload;
    }
    o->transaction(o->context, &seen);
}

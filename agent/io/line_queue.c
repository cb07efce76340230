#include "io/line_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

struct line_queue {
    uv_async_t async;
    line_queue_news_fn *news;
    void *context;
    size_t lines_max;
    struct line *lines; /* the loop's own */
    uv_mutex_t mutex;   /* of what follows */
    struct line *added;
    size_t count; /* of both */
    unsigned long dropped;
};

static void on_async(uv_async_t *handle)
{
    struct line_queue *q = CONTAINER_OF(handle, struct line_queue, async);
    q->news(q->context);
}

int line_queue_new(struct line_queue **out, uv_loop_t *loop, size_t lines_max,
                   line_queue_news_fn *news, void *context)
{
    struct line_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->lines_max = lines_max;
    q->news = news;
    q->context = context;
    int error = uv_mutex_init(&q->mutex);
    if (error < 0) {
        free(q);
        return error;
    }
    error = uv_async_init(loop, &q->async, on_async);
    if (error < 0) {
        uv_mutex_destroy(&q->mutex);
        free(q);
        return error;
    }
    *out = q;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct line_queue *q = CONTAINER_OF(handle, struct line_queue, async);
    DL_CONCAT(q->lines, q->added);
    struct line *line, *next;
    DL_FOREACH_SAFE (q->lines, line, next)
        free(line);
    uv_mutex_destroy(&q->mutex);
    free(q);
}

struct line_queue *line_queue_close(struct line_queue *q)
{
    if (q)
        uv_close((uv_handle_t *)&q->async, on_closed);
    return NULL;
}

static struct line *make_line(enum log_level level, const char *text)
{
    size_t size = strlen(text) + 1;
    struct line *line = malloc(sizeof(*line) + size);
    if (!line)
        return NULL;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    line->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    line->level = level;
    memcpy(line->text, text, size);
    return line;
}

void line_queue_add(struct line_queue *q, enum log_level level, const char *text)
{
    uv_mutex_lock(&q->mutex);
    struct line *line = q->count < q->lines_max ? make_line(level, text) : NULL;
    if (line) {
        DL_APPEND(q->added, line);
        q->count++;
    } else {
        q->dropped++;
    }
    uv_mutex_unlock(&q->mutex);
    if (line)
        uv_async_send(&q->async);
}

const struct line *line_queue_first(struct line_queue *q)
{
    uv_mutex_lock(&q->mutex);
    DL_CONCAT(q->lines, q->added);
    q->added = NULL;
    uv_mutex_unlock(&q->mutex);
    return q->lines;
}

void line_queue_remove_first(struct line_queue *q)
{
    struct line *line = q->lines;
    DL_DELETE(q->lines, line);
    free(line);
    uv_mutex_lock(&q->mutex);
    q->count--;
    uv_mutex_unlock(&q->mutex);
}

unsigned long line_queue_take_dropped(struct line_queue *q)
{
    uv_mutex_lock(&q->mutex);
    unsigned long dropped = q->dropped;
    q->dropped = 0;
    uv_mutex_unlock(&q->mutex);
    return dropped;
}

#include "io/syslog_transport.h"

#include <stdlib.h>

struct syslog_batch *syslog_batch_new(void)
{
    return calloc(1, sizeof(struct syslog_batch));
}

struct syslog_batch *syslog_batch_free(struct syslog_batch *b)
{
    if (b)
        text_deinit(&b->data);
    free(b);
    return NULL;
}

struct bytes syslog_batch_message(const struct syslog_batch *b, size_t number)
{
    size_t start = number ? b->at[number - 1].end : 0;
    return bytes_make(b->data.data + start, b->at[number].end - start);
}

struct syslog_transport *syslog_transport_close(struct syslog_transport *t)
{
    if (t)
        t->methods->close(t);
    return NULL;
}

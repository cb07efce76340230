/*
 * What the workers tell the main thread.
 *
 * One slot an interface, made beforehand, so that an answer can't fail. Each share
 * of an interface that several workers have counts as one here. The main thread
 * asks a worker one question at a time (flush, or stop) and each of its interfaces
 * answers it once.
 *
 * Owns     the reports that were not taken yet; its handle lives in the loop it
 *          was given
 * Threads  inbox_answer, inbox_gone and inbox_wake: any; the rest: the loop's
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/macros.h"
#include "core/report.h"

struct inbox;

/* Called in the loop's thread when there may be something new. */
typedef void inbox_news_fn(void *context);

int inbox_new(struct inbox **out, uv_loop_t *loop, unsigned interfaces, inbox_news_fn *news,
              void *context);

/* Close the handle; the memory goes with it when the loop has run. NULL is fine. */
struct inbox *inbox_close(struct inbox *i);
AUTO_DEFINE(struct inbox, inbox_close)

/* Answer the question for @interface with @report, which may be NULL. Takes it over. */
void inbox_answer(struct inbox *i, unsigned interface, struct report *report);

/* Say that nothing comes from @interface any more, because of @error (negative errno). */
void inbox_gone(struct inbox *i, unsigned interface, int error);

/* Make the loop call news(). */
void inbox_wake(struct inbox *i);

/**
 * Take the answer of @interface.
 *
 * Returns false when there is none yet. Otherwise @report is the caller's, or
 * NULL when the worker had none to give.
 */
bool inbox_take(struct inbox *i, unsigned interface, struct report **report);

/* Take the error that ended @interface: once, then it is 0 again. */
int inbox_take_gone(struct inbox *i, unsigned interface);

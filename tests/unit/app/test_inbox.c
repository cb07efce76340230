#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "app/inbox.h"

enum { INTERFACES = 3, QUESTIONS = 2000 };

struct fixture {
    uv_loop_t loop;
    struct inbox *inbox;
    unsigned news;
};

static void on_news(void *context)
{
    struct fixture *f = context;
    f->news++;
}

static void fixture_init(struct fixture *f, inbox_news_fn *news)
{
    *f = (struct fixture){0};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(inbox_new(&f->inbox, &f->loop, INTERFACES, news, f), 0);
}

static void fixture_deinit(struct fixture *f)
{
    f->inbox = inbox_close(f->inbox);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static struct report *report_of(unsigned interface, uint64_t time_ns)
{
    struct report *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->interface = interface;
    r->time_ns = time_ns;
    return r;
}

static void an_answer_is_taken_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    struct report *taken = NULL;
    assert_false(inbox_take(f.inbox, 1, &taken));

    struct report *given = report_of(1, 7);
    inbox_answer(f.inbox, 1, given);
    uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(f.news, 1);
    assert_false(inbox_take(f.inbox, 0, &taken));
    assert_true(inbox_take(f.inbox, 1, &taken));
    assert_ptr_equal(taken, given);
    report_free(taken);
    assert_false(inbox_take(f.inbox, 1, &taken));
    fixture_deinit(&f);
}

static void an_answer_may_be_empty(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(f.inbox, 2, NULL);
    struct report *taken = report_of(0, 0);
    struct report *before = taken;
    assert_true(inbox_take(f.inbox, 2, &taken));
    assert_null(taken);
    report_free(before);
    fixture_deinit(&f);
}

static void the_end_of_an_interface_is_said_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    assert_int_equal(inbox_take_gone(f.inbox, 0), 0);
    inbox_gone(f.inbox, 0, -ENODEV);
    uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(f.news, 1);
    assert_int_equal(inbox_take_gone(f.inbox, 1), 0);
    assert_int_equal(inbox_take_gone(f.inbox, 0), -ENODEV);
    assert_int_equal(inbox_take_gone(f.inbox, 0), 0);
    fixture_deinit(&f);
}

/* The leak checker says if it was not. */
static void an_answer_that_nobody_took_is_freed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, on_news);
    inbox_answer(f.inbox, 0, report_of(0, 1));
    fixture_deinit(&f);
}

/* --- a thread for each interface, which answers each question -------------------- */

struct answerer {
    uv_thread_t thread;
    struct inbox *inbox;
    unsigned number;
    uv_sem_t asked;
};

static void answer_questions(void *argument)
{
    struct answerer *a = argument;
    for (unsigned n = 1; n <= QUESTIONS; n++) {
        uv_sem_wait(&a->asked);
        inbox_answer(a->inbox, a->number, report_of(a->number, n));
    }
}

struct asker {
    struct fixture fixture;
    struct answerer answerers[INTERFACES];
    uint64_t question;
    unsigned unanswered;
};

static void ask(struct asker *a)
{
    a->question++;
    a->unanswered = INTERFACES;
    for (unsigned n = 0; n < INTERFACES; n++)
        uv_sem_post(&a->answerers[n].asked);
}

static void on_answers(void *context)
{
    struct asker *a = CONTAINER_OF((struct fixture *)context, struct asker, fixture);
    for (unsigned n = 0; n < INTERFACES; n++) {
        struct report *r;
        if (!inbox_take(a->fixture.inbox, n, &r))
            continue;
        assert_int_equal(r->interface, n);
        assert_int_equal(r->time_ns, a->question);
        report_free(r);
        a->unanswered--;
    }
    if (a->unanswered > 0)
        return;
    if (a->question == QUESTIONS)
        a->fixture.inbox = inbox_close(a->fixture.inbox);
    else
        ask(a);
}

static void each_question_gets_an_answer_from_each_thread(void **state)
{
    (void)state;
    struct asker a = {0};
    fixture_init(&a.fixture, on_answers);
    for (unsigned n = 0; n < INTERFACES; n++) {
        struct answerer *w = &a.answerers[n];
        w->inbox = a.fixture.inbox;
        w->number = n;
        assert_int_equal(uv_sem_init(&w->asked, 0), 0);
        assert_int_equal(uv_thread_create(&w->thread, answer_questions, w), 0);
    }
    ask(&a);
    uv_run(&a.fixture.loop, UV_RUN_DEFAULT);
    assert_int_equal(a.question, QUESTIONS);
    for (unsigned n = 0; n < INTERFACES; n++) {
        uv_thread_join(&a.answerers[n].thread);
        uv_sem_destroy(&a.answerers[n].asked);
    }
    assert_int_equal(uv_loop_close(&a.fixture.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_once),
        cmocka_unit_test(an_answer_may_be_empty),
        cmocka_unit_test(the_end_of_an_interface_is_said_once),
        cmocka_unit_test(an_answer_that_nobody_took_is_freed),
        cmocka_unit_test(each_question_gets_an_answer_from_each_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

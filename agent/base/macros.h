/*
 * The few things C lacks: ownership that is visible, sizes of arrays, the
 * struct around a member.
 */
#pragma once

#include <stddef.h>
#include <sys/param.h>

/* The function that ends ownership of a local when it goes out of scope. */
#define AUTO(free_function) __attribute__((cleanup(free_function##_auto)))

/* Defines what AUTO(@free_function) calls for locals of type @type *. */
#define AUTO_DEFINE(type, free_function)                                                           \
    static inline void free_function##_auto(type **owner)                                          \
    {                                                                                              \
        free_function(*owner);                                                                     \
    }

/* Give ownership away: the local becomes NULL, so its cleanup does nothing. */
#define TAKE(owner)                                                                                \
    ({                                                                                             \
        __typeof__(owner) taken_ = (owner);                                                        \
        (owner) = NULL;                                                                            \
        taken_;                                                                                    \
    })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* libuv includes <sys/param.h>, whose MIN and MAX evaluate their arguments twice. */
#undef MIN
#undef MAX

#define MIN(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) a_ = (a);                                                                    \
        __typeof__(b) b_ = (b);                                                                    \
        a_ < b_ ? a_ : b_;                                                                         \
    })

#define MAX(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) a_ = (a);                                                                    \
        __typeof__(b) b_ = (b);                                                                    \
        a_ > b_ ? a_ : b_;                                                                         \
    })

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define PRINTF_LIKE(format, first) __attribute__((__format__(__printf__, format, first)))

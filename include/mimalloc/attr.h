/**
 * @file mimalloc/attr.h
 * Compiler attributes of the public headers, each as a small macro.
 *
 * Owns every `__attribute__` that the public headers use, so that those hold prototypes and comments only.
 * Each macro is empty where the compiler does not know the attribute: attributes help warnings and
 * optimisation, no program depends on them. Works in C11 and later and in C++11 and later.
 */
#ifndef MIMALLOC_ATTR_H
#define MIMALLOC_ATTR_H

#if defined(__GNUC__) || defined(__clang__)
/** Wraps a GNU attribute; empty for other compilers. */
#define MI_ATTR(...) __attribute__((__VA_ARGS__))
#else
#define MI_ATTR(...)
#endif

/** The name is visible outside the shared object (define it yourself before the include to change that). */
#ifndef MI_EXPORT
#define MI_EXPORT MI_ATTR(visibility("default"))
#endif

/** The compiler warns when the result is thrown away; comes first in a declaration. */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define MI_NODISCARD [[nodiscard]]
#else
#define MI_NODISCARD MI_ATTR(warn_unused_result)
#endif

/** Throws no exception (C++ only). The `mi_new` family is without it: it throws `std::bad_alloc`. */
#if defined(__cplusplus)
#define MI_NOEXCEPT noexcept
#else
#define MI_NOEXCEPT
#endif

/** The result is NULL or a new block that nothing else points to, and holds no pointers to live objects. */
#define MI_ATTR_MALLOC MI_ATTR(malloc)

/** The block has at least as many bytes as parameter number @p n says (counted from 1). */
#define MI_ATTR_ALLOC_SIZE(n) MI_ATTR(alloc_size(n))

/** The block has at least as many bytes as the product of parameters @p n and @p m says. */
#define MI_ATTR_ALLOC_SIZE2(n, m) MI_ATTR(alloc_size(n, m))

/** The block is aligned to what parameter number @p n says. */
#define MI_ATTR_ALLOC_ALIGN(n) MI_ATTR(alloc_align(n))

/** The listed pointer parameters must not be NULL; passing NULL is undefined and the compiler warns. */
#define MI_ATTR_NONNULL(...) MI_ATTR(nonnull(__VA_ARGS__))

/** The result is never NULL. */
#define MI_ATTR_RETURNS_NONNULL MI_ATTR(returns_nonnull)

#endif  // MIMALLOC_ATTR_H

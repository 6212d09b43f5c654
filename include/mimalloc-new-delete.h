/**
 * @file mimalloc-new-delete.h
 * All replaceable forms of operator new and delete, over this library: include it in exactly one C++
 * source.
 *
 * Owns the definitions of the global operators of the program that includes it, [new.delete] of the C++
 * standard: plain, nothrow, sized (C++14) and, where the compiler has them, aligned (C++17). It is needed
 * only where the library is linked without its own operators or after others. Each operator is one call of
 * an entry point of mimalloc.h or mimalloc-secure.h, so that the secure build can tell new, new[] and
 * malloc apart and knows the sizes. Thread rule: as mi_new() and mi_free(). The sized forms are defined
 * from C++11 on: sources that are compiled for a later standard call them.
 */
#ifndef MIMALLOC_NEW_DELETE_H
#define MIMALLOC_NEW_DELETE_H

#if !defined(__cplusplus)
#error "mimalloc-new-delete.h is for C++ only"
#endif

#include "mimalloc-secure.h"

#include <cstddef>
#include <new>

/** @cond */

MI_NODISCARD void* operator new(std::size_t size) noexcept(false) {
  return mi_new(size);
}
MI_NODISCARD void* operator new[](std::size_t size) noexcept(false) {
  return mi_new_array(size);
}
MI_NODISCARD void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return mi_new_nothrow(size);
}
MI_NODISCARD void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return mi_new_array_nothrow(size);
}

void operator delete(void* p) noexcept {
  mi_delete(p);
}
void operator delete[](void* p) noexcept {
  mi_delete_array(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept {
  mi_delete(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  mi_delete_array(p);
}

void operator delete(void* p, std::size_t size) noexcept;
void operator delete[](void* p, std::size_t size) noexcept;
void operator delete(void* p, std::size_t size) noexcept {
  mi_delete_size(p, size);
}
void operator delete[](void* p, std::size_t size) noexcept {
  mi_delete_array_size(p, size);
}

#if defined(__cpp_aligned_new)

MI_NODISCARD void* operator new(std::size_t size, std::align_val_t alignment) noexcept(false) {
  return mi_new_aligned(size, static_cast<std::size_t>(alignment));
}
MI_NODISCARD void* operator new[](std::size_t size, std::align_val_t alignment) noexcept(false) {
  return mi_new_array_aligned(size, static_cast<std::size_t>(alignment));
}
MI_NODISCARD void* operator new(std::size_t size, std::align_val_t alignment,
    const std::nothrow_t&) noexcept {
  return mi_new_aligned_nothrow(size, static_cast<std::size_t>(alignment));
}
MI_NODISCARD void* operator new[](std::size_t size, std::align_val_t alignment,
    const std::nothrow_t&) noexcept {
  return mi_new_array_aligned_nothrow(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* p, std::align_val_t alignment) noexcept {
  mi_delete_aligned(p, static_cast<std::size_t>(alignment));
}
void operator delete[](void* p, std::align_val_t alignment) noexcept {
  mi_delete_array_aligned(p, static_cast<std::size_t>(alignment));
}
void operator delete(void* p, std::size_t size, std::align_val_t alignment) noexcept {
  mi_delete_size_aligned(p, size, static_cast<std::size_t>(alignment));
}
void operator delete[](void* p, std::size_t size, std::align_val_t alignment) noexcept {
  mi_delete_array_size_aligned(p, size, static_cast<std::size_t>(alignment));
}
void operator delete(void* p, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  mi_delete_aligned(p, static_cast<std::size_t>(alignment));
}
void operator delete[](void* p, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  mi_delete_array_aligned(p, static_cast<std::size_t>(alignment));
}

#endif  // __cpp_aligned_new

/** @endcond */

#endif  // MIMALLOC_NEW_DELETE_H

/**
 * @file mimalloc-pmr.hpp
 * Memory resources for the std::pmr containers (C++17): over the default heap, and over one heap.
 *
 * Owns three things: mi_memory_resource, the calling thread's default heap, without state;
 * mi_default_resource(), one such object for all; mi_heap_memory_resource, a heap that is given or its own,
 * which can be emptied at once. Allocation throws std::bad_alloc; every power of two is met as an alignment
 * up to 1 GiB at least. Thread rule: the first may be used by any thread; an mi_heap_memory_resource
 * allocates, is released and destroyed only in the thread that made its heap, as in mimalloc/heap.h.
 * Deallocation is possible in every thread.
 */
#ifndef MIMALLOC_PMR_HPP
#define MIMALLOC_PMR_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "mimalloc-pmr.hpp needs C++17"
#endif

#include "mimalloc.h"

#include <cstddef>
#include <cstdlib>
#include <memory_resource>
#include <new>

/** @defgroup pmr Memory resources
 *  @{ */

/** The calling thread's default heap as a memory resource. All objects of it are equal. */
class mi_memory_resource : public std::pmr::memory_resource {
protected:
  /** mi_new_aligned(). */
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    return mi_new_aligned(size, alignment);
  }

  /** mi_free_size_aligned(). */
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    mi_free_size_aligned(p, size, alignment);
  }

  /** True for every object of this class; for the same object where there is no run-time type information. */
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
#if defined(__cpp_rtti) || defined(__GXX_RTTI)
    return dynamic_cast<const mi_memory_resource*>(&other) != nullptr;
#else
    return this == &other;
#endif
  }
};

/** An mi_memory_resource that lives as long as the process; for std::pmr::set_default_resource() too. */
inline mi_memory_resource* mi_default_resource() noexcept {
  // Never destroyed: containers with static storage duration may outlive every object of this file.
  alignas(mi_memory_resource) static unsigned char storage[sizeof(mi_memory_resource)];
  static mi_memory_resource* const resource = ::new (static_cast<void*>(storage)) mi_memory_resource;
  return resource;
}

/** A heap as a memory resource. Objects are equal when they allocate in the same heap. */
class mi_heap_memory_resource : public std::pmr::memory_resource {
public:
  /**
   * Allocate in a heap of its own. Its destructor frees all that is still allocated. Throws std::bad_alloc.
   */
  mi_heap_memory_resource() : heap_(mi_heap_new()), owned_(true) {
    if (heap_ == nullptr) out_of_memory();
  }

  /** Allocate in @p heap, which belongs to the caller, must not be NULL and must outlive this object. */
  explicit mi_heap_memory_resource(mi_heap_t* heap) noexcept : heap_(heap), owned_(false) {
  }

  mi_heap_memory_resource(const mi_heap_memory_resource&) = delete;
  mi_heap_memory_resource& operator=(const mi_heap_memory_resource&) = delete;

  /** Destroys a heap of its own, with all that is in it. */
  ~mi_heap_memory_resource() override {
    if (owned_) mi_heap_destroy(heap_);
  }

  /**
   * Free all that is allocated in a heap of its own, at once, and start with an empty one; a heap that was
   * given is left alone. Throws std::bad_alloc, and has freed nothing, when there is no memory for another
   * heap.
   */
  void release() {
    if (!owned_) return;
    mi_heap_t* fresh = mi_heap_new();
    if (fresh == nullptr) out_of_memory();
    mi_heap_destroy(heap_);
    heap_ = fresh;
  }

  /** The heap. */
  mi_heap_t* heap() const noexcept {
    return heap_;
  }

protected:
  /** mi_heap_malloc_aligned(). */
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    void* p = mi_heap_malloc_aligned(heap_, size, alignment);
    if (p == nullptr) out_of_memory();
    return p;
  }

  /** mi_free_size_aligned(). */
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    mi_free_size_aligned(p, size, alignment);
  }

  /** Do the two allocate in the same heap? The same object, where there is no run-time type information. */
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
#if defined(__cpp_rtti) || defined(__GXX_RTTI)
    const mi_heap_memory_resource* that = dynamic_cast<const mi_heap_memory_resource*>(&other);
    return that != nullptr && that->heap_ == heap_;
#else
    return this == &other;
#endif
  }

private:
  [[noreturn]] static void out_of_memory() {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
    throw std::bad_alloc();
#else
    std::abort();
#endif
  }

  mi_heap_t* heap_;
  bool owned_;
};

/** @} */

#endif  // MIMALLOC_PMR_HPP

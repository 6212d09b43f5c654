/**
 * @file mimalloc/allocator.hpp
 * Allocators for the containers of the C++ standard library (C++11 to C++20), over the heaps of this
 * library.
 *
 * Included by mimalloc.h in C++; do not include it on its own.
 *   mi_stl_allocator<T>               the calling thread's default heap; has no state
 *   mi_heap_stl_allocator<T>          a given heap, or one of its own that is deleted with the last copy
 *   mi_heap_destroy_stl_allocator<T>  the same, but the heap is destroyed: deallocation costs nothing, and
 *                                     memory comes back when the last copy goes, with everything in it
 * They meet the requirements of Cpp17Allocator, also for types with extended alignment, and throw
 * std::bad_alloc. Thread rule: mi_stl_allocator may be used by any thread; the others allocate in the
 * thread that made the heap, as in mimalloc/heap.h, and their last copy must go in that thread too, if they
 * own the heap.
 */
#ifndef MIMALLOC_ALLOCATOR_HPP
#define MIMALLOC_ALLOCATOR_HPP

#ifndef MIMALLOC_H
#error "include <mimalloc.h> instead"
#endif

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

/** Programs may test this before they use mi_heap_stl_allocator. */
#define MI_HAS_HEAP_STL_ALLOCATOR 1

/** @defgroup containers Allocators for containers
 *  @{ */

/** What the allocators have in common: the types and, up to C++17, members that C++20 took out. */
template <class T>
struct mi_stl_allocator_base {
  typedef T value_type;                       ///< The type of the elements.
  typedef std::size_t size_type;              ///< The type of counts.
  typedef std::ptrdiff_t difference_type;     ///< The type of distances.
  typedef value_type& reference;              ///< Reference to an element.
  typedef const value_type& const_reference;  ///< Reference to a constant element.
  typedef value_type* pointer;                ///< Pointer to an element.
  typedef const value_type* const_pointer;    ///< Pointer to a constant element.
  /** A copied container takes the allocator along. */
  typedef std::true_type propagate_on_container_copy_assignment;
  /** A moved container takes the allocator along. */
  typedef std::true_type propagate_on_container_move_assignment;
  /** Swapped containers swap allocators. */
  typedef std::true_type propagate_on_container_swap;

  /** The largest count that can be asked for. */
  size_type max_size() const noexcept {
    return static_cast<size_type>(PTRDIFF_MAX) / sizeof(value_type);
  }

  /** Construct an object of type U at @p p. */
  template <class U, class... Args>
  void construct(U* p, Args&&... args) {
    ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
  }

  /** Destroy the object at @p p. */
  template <class U>
  void destroy(U* p) noexcept(std::is_nothrow_destructible<U>::value) {
    p->~U();
  }

protected:
  /** Is T aligned more strictly than every block is? */
  static constexpr bool over_aligned() noexcept {
    return alignof(T) > alignof(std::max_align_t);
  }

  /** Throw std::bad_alloc; end the process where exceptions are switched off. */
  [[noreturn]] static void out_of_memory() {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
    throw std::bad_alloc();
#else
    std::abort();
#endif
  }
};

/** Allocator over the calling thread's default heap. All objects of it are equal. */
template <class T>
struct mi_stl_allocator : public mi_stl_allocator_base<T> {
  typedef std::size_t size_type;          ///< The type of counts.
  typedef std::true_type is_always_equal; ///< What one allocates, any other may deallocate.

  /** The allocator of the same kind for U. */
  template <class U>
  struct rebind {
    typedef mi_stl_allocator<U> other;  ///< That allocator.
  };

  mi_stl_allocator() noexcept = default;
  /** Copying does nothing. */
  mi_stl_allocator(const mi_stl_allocator&) noexcept = default;
  /** Nor does converting from the allocator of another type. */
  template <class U>
  mi_stl_allocator(const mi_stl_allocator<U>&) noexcept {
  }
  /** Assigning does nothing. */
  mi_stl_allocator& operator=(const mi_stl_allocator&) noexcept = default;

  /** The allocator of a copy of a container. */
  mi_stl_allocator select_on_container_copy_construction() const {
    return *this;
  }

  /** Memory for @p count objects. Throws std::bad_alloc. */
  MI_NODISCARD T* allocate(size_type count) {
    if (count > this->max_size()) this->out_of_memory();
    const size_type size = count * sizeof(T);
    return static_cast<T*>(this->over_aligned() ? mi_new_aligned(size, alignof(T)) : mi_new(size));
  }
  /** The same; the hint of C++11 is ignored. */
  MI_NODISCARD T* allocate(size_type count, const void*) {
    return allocate(count);
  }

  /** Give back what allocate(@p count) returned. */
  void deallocate(T* p, size_type count) noexcept {
    if (this->over_aligned()) {
      mi_free_size_aligned(p, count * sizeof(T), alignof(T));
    } else {
      mi_free_size(p, count * sizeof(T));
    }
  }
};

/** Always true. */
template <class T, class U>
bool operator==(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept {
  return true;
}
/** Always false. */
template <class T, class U>
bool operator!=(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept {
  return false;
}

/** The part of the heap allocators that holds the heap; Destroy says how it ends. */
template <class T, bool Destroy>
struct mi_heap_stl_allocator_base : public mi_stl_allocator_base<T> {
  typedef std::size_t size_type;            ///< The type of counts.
  typedef std::false_type is_always_equal;  ///< Only allocators of the same heap are equal.

  /** Allocate in @p hp, which belongs to the caller and must outlive all copies. */
  explicit mi_heap_stl_allocator_base(mi_heap_t* hp) : heap(hp, [](mi_heap_t*) {}) {
  }
  /** Allocate in a new heap. Throws std::bad_alloc. */
  mi_heap_stl_allocator_base() : heap(make_heap(), Destroy ? mi_heap_destroy : mi_heap_delete) {
  }
  /** Share the heap of the allocator of another type. */
  template <class U>
  mi_heap_stl_allocator_base(const mi_heap_stl_allocator_base<U, Destroy>& other) noexcept
      : heap(other.heap) {
  }

  /** Memory for @p count objects. Throws std::bad_alloc. */
  MI_NODISCARD T* allocate(size_type count) {
    if (count > this->max_size()) this->out_of_memory();
    const size_type size = count * sizeof(T);
    void* p = this->over_aligned() ? mi_heap_malloc_aligned(heap.get(), size, alignof(T))
                                   : mi_heap_alloc_new(heap.get(), size);
    if (p == nullptr) this->out_of_memory();
    return static_cast<T*>(p);
  }
  /** The same; the hint of C++11 is ignored. */
  MI_NODISCARD T* allocate(size_type count, const void*) {
    return allocate(count);
  }

  /** Give back what allocate(@p count) returned; nothing where the heap will be destroyed. */
  void deallocate(T* p, size_type count) noexcept {
    if (Destroy) return;
    if (this->over_aligned()) {
      mi_free_size_aligned(p, count * sizeof(T), alignof(T));
    } else {
      mi_free_size(p, count * sizeof(T));
    }
  }

  /** As mi_heap_collect(), for the heap of this allocator. */
  void collect(bool force) {
    mi_heap_collect(heap.get(), force);
  }

  /** Do the two allocate in the same heap? */
  template <class U>
  bool is_equal(const mi_heap_stl_allocator_base<U, Destroy>& other) const noexcept {
    return heap == other.heap;
  }

protected:
  std::shared_ptr<mi_heap_t> heap;  ///< Shared by all copies.
  template <class U, bool D>
  friend struct mi_heap_stl_allocator_base;

private:
  static mi_heap_t* make_heap() {
    mi_heap_t* hp = mi_heap_new();
    if (hp == nullptr) mi_stl_allocator_base<T>::out_of_memory();
    return hp;
  }
};

/** Allocator over one heap; a heap of its own is deleted, and blocks still in use stay valid. */
template <class T>
struct mi_heap_stl_allocator : public mi_heap_stl_allocator_base<T, false> {
  /** The allocator of the same kind for U. */
  template <class U>
  struct rebind {
    typedef mi_heap_stl_allocator<U> other;  ///< That allocator.
  };

  /** Allocate in a new heap. */
  mi_heap_stl_allocator() = default;
  /** Allocate in @p hp. */
  explicit mi_heap_stl_allocator(mi_heap_t* hp) : mi_heap_stl_allocator_base<T, false>(hp) {
  }
  /** Share the heap of the allocator of another type. */
  template <class U>
  mi_heap_stl_allocator(const mi_heap_stl_allocator<U>& other) noexcept
      : mi_heap_stl_allocator_base<T, false>(other) {
  }

  /** The allocator of a copy of a container. */
  mi_heap_stl_allocator select_on_container_copy_construction() const {
    return *this;
  }
};

/** Do the two allocate in the same heap? */
template <class T, class U>
bool operator==(const mi_heap_stl_allocator<T>& x, const mi_heap_stl_allocator<U>& y) noexcept {
  return x.is_equal(y);
}
/** Do the two allocate in different heaps? */
template <class T, class U>
bool operator!=(const mi_heap_stl_allocator<T>& x, const mi_heap_stl_allocator<U>& y) noexcept {
  return !x.is_equal(y);
}

/** Allocator over one heap; a heap of its own is destroyed with all that is in it. */
template <class T>
struct mi_heap_destroy_stl_allocator : public mi_heap_stl_allocator_base<T, true> {
  /** The allocator of the same kind for U. */
  template <class U>
  struct rebind {
    typedef mi_heap_destroy_stl_allocator<U> other;  ///< That allocator.
  };

  /** Allocate in a new heap. */
  mi_heap_destroy_stl_allocator() = default;
  /** Allocate in @p hp; deallocation does nothing, and to end the heap is up to the caller. */
  explicit mi_heap_destroy_stl_allocator(mi_heap_t* hp) : mi_heap_stl_allocator_base<T, true>(hp) {
  }
  /** Share the heap of the allocator of another type. */
  template <class U>
  mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator<U>& other) noexcept
      : mi_heap_stl_allocator_base<T, true>(other) {
  }

  /** The allocator of a copy of a container. */
  mi_heap_destroy_stl_allocator select_on_container_copy_construction() const {
    return *this;
  }
};

/** Do the two allocate in the same heap? */
template <class T, class U>
bool operator==(const mi_heap_destroy_stl_allocator<T>& x,
                const mi_heap_destroy_stl_allocator<U>& y) noexcept {
  return x.is_equal(y);
}
/** Do the two allocate in different heaps? */
template <class T, class U>
bool operator!=(const mi_heap_destroy_stl_allocator<T>& x,
                const mi_heap_destroy_stl_allocator<U>& y) noexcept {
  return !x.is_equal(y);
}

/** @} */

#endif  // MIMALLOC_ALLOCATOR_HPP

// The allocators for containers at work: contents, rebinding, equality, copies that share a heap, types
// with extended alignment, counts that cannot be met, and memory resources (from C++17 on).
//
// Linked with the library and run, once for each standard; prints nothing and returns 0 when all is well.
// Every `check` names the line that failed.
#include "mimalloc.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#if __cplusplus >= 201703L
#include "mimalloc-pmr.hpp"
#endif

#define check(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);  \
      std::exit(1);                                                         \
    }                                                                       \
  } while (0)

namespace {

struct alignas(64) wide_t {
  int numbers[16];
};

bool is_aligned(const void* p, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// A vector, a list, a map and a hash map, so that the allocator is rebound to several node types.
template <template <class> class Allocator>
void fill_containers() {
  std::vector<int, Allocator<int>> vector;
  for (int i = 0; i < 10000; i++) vector.push_back(i);
  for (int i = 0; i < 10000; i++) check(vector[static_cast<std::size_t>(i)] == i);
  check(mi_is_in_heap_region(vector.data()));

  std::vector<int, Allocator<int>> copy(vector);
  check(copy == vector && copy.data() != vector.data());
  std::vector<int, Allocator<int>> moved(std::move(copy));
  check(moved == vector);
  moved.swap(vector);
  moved = vector;
  check(moved == vector);

  std::list<std::string, Allocator<std::string>> list;
  for (int i = 0; i < 100; i++) list.push_back("too long to be kept inside a string " + std::to_string(i));
  list.remove_if([](const std::string& s) { return s.back() == '7'; });
  check(list.size() == 90);

  std::map<int, int, std::less<int>, Allocator<std::pair<const int, int>>> map;
  for (int i = 0; i < 1000; i++) map[i * 7919 % 1000] = i;
  check(map.size() == 1000 && map.begin()->first == 0);

  typedef Allocator<std::pair<const int, int>> pairs_t;
  std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, pairs_t> table;
  for (int i = 0; i < 1000; i++) table[i] = -i;
  for (int i = 0; i < 1000; i += 2) table.erase(i);
  check(table.size() == 500 && table.at(999) == -999);

  Allocator<wide_t> wide;
  for (std::size_t count = 1; count < 40; count++) {
    wide_t* p = wide.allocate(count);
    check(is_aligned(p, alignof(wide_t)));
    p[count - 1].numbers[15] = 1;
    wide.deallocate(p, count);
  }

  Allocator<wide_t> too_many;
  bool thrown = false;
  try {
    check(too_many.allocate(SIZE_MAX / sizeof(wide_t) + 2) == nullptr);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  check(thrown);
}

void compare_allocators() {
  check(mi_stl_allocator<int>() == mi_stl_allocator<char>());
  check(!(mi_stl_allocator<int>() != mi_stl_allocator<char>()));

  mi_heap_stl_allocator<int> one, other;
  mi_heap_stl_allocator<char> rebound(one);
  check(one == rebound && one != other);
  int* p = one.allocate(4);
  rebound.deallocate(reinterpret_cast<char*>(p), 4 * sizeof(int));
  one.collect(true);

  mi_heap_t* heap = mi_heap_new();
  {
    mi_heap_destroy_stl_allocator<int> mine(heap);
    mi_heap_destroy_stl_allocator<char> same(mine);
    check(mine == same);
    int* q = mine.allocate(10);
    check(mi_heap_contains_block(heap, q));
    mine.deallocate(q, 10);
    check(mi_heap_contains_block(heap, q));  // comes back with the heap only
  }
  void* r = mi_heap_malloc(heap, 10);  // a heap that was given is left alone
  check(mi_heap_contains_block(heap, r));
  mi_heap_destroy(heap);

  // A heap of its own that is deleted leaves its blocks alive.
  int* kept;
  {
    mi_heap_stl_allocator<int> brief;
    kept = brief.allocate(100);
    kept[99] = 99;
  }
  check(kept[99] == 99);
  mi_free(kept);
}

#if __cplusplus >= 201703L
void memory_resources() {
  mi_memory_resource resource;
  check(resource.is_equal(*mi_default_resource()) && !resource.is_equal(*std::pmr::null_memory_resource()));
  check(mi_default_resource() == mi_default_resource());
  {
    std::pmr::vector<std::pmr::string> strings(&resource);
    for (int i = 0; i < 1000; i++) strings.emplace_back("longer than what a string keeps inside itself");
    check(strings.back().size() == 45 && mi_is_in_heap_region(strings.back().data()));
  }
  for (std::size_t alignment = 1; alignment <= 1u << 20; alignment *= 2) {
    void* p = resource.allocate(100, alignment);
    check(is_aligned(p, alignment));
    resource.deallocate(p, 100, alignment);
  }

  mi_heap_memory_resource pool;
  mi_heap_memory_resource view(pool.heap());
  check(pool.is_equal(view) && !pool.is_equal(resource));
  void* first = pool.allocate(50, 16);
  check(mi_heap_contains_block(pool.heap(), first));
  pool.deallocate(first, 50, 16);
  for (int i = 0; i < 1000; i++) (void)pool.allocate(100, 32);
  pool.release();
  check(!pool.is_equal(view));
  std::pmr::map<int, int> map(&pool);
  for (int i = 0; i < 1000; i++) map[i] = i;
  check(map.at(999) == 999);

  bool thrown = false;
  try {
    const volatile std::size_t huge = SIZE_MAX / 2 + 1;  // hidden from warnings
    (void)pool.allocate(huge, 16);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  check(thrown);
}
#endif

}  // namespace

int main() {
  fill_containers<mi_stl_allocator>();
  fill_containers<mi_heap_stl_allocator>();
  fill_containers<mi_heap_destroy_stl_allocator>();
  compare_allocators();
#if __cplusplus >= 201703L
  memory_resources();
#endif
  return 0;
}

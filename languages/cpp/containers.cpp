// The library from C++: nothing to do for new and delete, an allocator for containers, and memory resources whose
// containers live in a heap of their own.
#include <cstdio>
#include <memory_resource>
#include <string>
#include <unordered_map>
#include <vector>

#include <mimalloc-pmr.hpp>
#include <mimalloc.h>

// A request of a server: all it allocates is in its own heap, and goes with it.
static std::size_t serve(int number) {
  mi_heap_memory_resource heap;
  std::pmr::unordered_map<int, std::pmr::string> words(&heap);
  for (int i = 0; i < 100; i++) {
    words.emplace(i, "a string too long to be kept inside of its object, of request ");
    words.at(i) += std::to_string(number);
  }
  std::size_t bytes = 0;
  for (const auto& word : words) bytes += word.second.size();
  return bytes;
}

int main() {
  // Linked or preloaded, the operators are the library's: this needs no allocator of its own.
  std::vector<int> ordinary(1000, 1);
  // Where a program links only the mi_ names, or wants to say so:
  std::vector<int, mi_stl_allocator<int>> explicitly(1000, 2);
  std::size_t bytes = 0;
  for (int i = 0; i < 10; i++) bytes += serve(i);
  bool ours = mi_is_in_heap_region(ordinary.data()) && mi_is_in_heap_region(explicitly.data());
  std::printf("%zu bytes in 10 heaps; vectors are %s\n", bytes, ours ? "ours" : "not ours");
  return ours && bytes == 10 * 100 * 63 ? 0 : 1;
}

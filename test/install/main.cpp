// The same for C++: operator new, and containers.
#include <mimalloc-secure.h>
#include <mimalloc.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (mi_version() != MI_MALLOC_VERSION) return 1;
  if (mi_is_secure() != (std::strcmp(argv[2], "secure") == 0)) {
    std::fprintf(stderr, "the library is not %s\n", argv[2]);
    return 1;
  }
  std::unique_ptr<int[]> numbers(new int[1000]);
  if (!mi_is_in_heap_region(numbers.get())) {
    std::fprintf(stderr, "operator new[] is not the library's\n");
    return 1;
  }
  std::vector<std::string, mi_stl_allocator<std::string>> words(100, std::string(50, 'x'));
  if (!mi_is_in_heap_region(words.data()) || !mi_is_in_heap_region(words[99].data())) {
    std::fprintf(stderr, "a container's memory is not the library's\n");
    return 1;
  }
  std::puts("as expected");
  return 0;
}

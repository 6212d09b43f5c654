// A C++ program as programs are: containers, streams, exceptions, threads. All it and its libraries allocate must be the
// library's.
#include "escape.h"

#include <functional>
#include <future>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <new>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

extern "C" __attribute__((weak)) bool mi_is_in_heap_region(const void* p);

int escape_is_ours(const void* p) {
  return p != nullptr && mi_is_in_heap_region != nullptr && mi_is_in_heap_region(p);
}

namespace {

struct alignas(256) wide {
  char bytes[300];
};

void operators() {
  int* one = new int(5);
  OURS(one);
  delete one;
  int* many = new int[1000];
  OURS(many);
  delete[] many;
  wide* aligned = new wide;
  OURS(aligned);
  delete aligned;
  wide* rows = new wide[3];
  OURS(rows);
  delete[] rows;
  char* quiet = new (std::nothrow) char[100];
  OURS(quiet);
  delete[] quiet;
  void* raw = ::operator new(100);
  OURS(raw);
  ::operator delete(raw);
}

void containers() {
  std::vector<int> numbers(10000, 7);
  OURS(numbers.data());
  std::string text(1000, 'x');
  OURS(text.data());
  std::map<std::string, std::vector<int>> tree;
  std::unordered_map<int, std::string> table;
  for (int i = 0; i < 1000; i++) {
    tree[std::to_string(i)].push_back(i);
    table[i] = std::string(100, 'y');
  }
  OURS(&tree.begin()->second);
  auto shared = std::make_shared<std::string>(500, 'z');
  OURS(shared.get());
  std::function<int(int)> call = [numbers](int i) { return numbers[static_cast<size_t>(i)]; };
  if (call(3) != 7) _exit(1);
}

void libraries() {
  std::ostringstream stream;
  stream << "a number: " << 3.25 << ' ' << std::string(5000, 'w');
  std::regex expression("(a|b)*c{2,5}");
  if (!std::regex_search(std::string("xxabccc"), expression)) _exit(1);
  try {
    throw std::runtime_error(std::string(1000, 'e'));
  } catch (const std::exception& error) {
    OURS(&error);
    OURS(error.what());
  }
  std::locale copy(std::locale::classic(), new std::numpunct<char>);
  if (copy == std::locale::classic()) _exit(1);
}

void all() {
  for (int i = 0; i < 20; i++) {
    operators();
    containers();
    libraries();
  }
}

}  // namespace

int main() {
  all();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) threads.emplace_back(all);
  for (std::thread& each : threads) each.join();
  std::async(std::launch::async, all).get();
  escape_check();
  std::cout << "nothing escaped\n";
  return 0;
}

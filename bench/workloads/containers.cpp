/* containers.cpp - what C++ programs do: maps, strings, vectors, shared pointers.
 *
 * After the measurements of C++ programs in "Reconsidering Custom Memory Allocation" (Berger, Zorn and
 * McKinley, OOPSLA 2002), which found that general allocators serve such code as well as custom ones: an
 * index of words with postings, a tree of shared nodes that is rebuilt piece by piece, queues and strings.
 * All memory comes by operator new and goes by sized operator delete. One thread.
 */
#include "common.h"
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct node {
  uint64_t value;
  std::shared_ptr<node> left, right;
};

std::shared_ptr<node> tree(bench_random_t* random, int depth) {
  auto result = std::make_shared<node>();
  result->value = bench_random(random);
  if (depth > 0) {
    result->left = tree(random, depth - 1);
    result->right = tree(random, depth - 1);
  }
  return result;
}

/* A new path from the root down; everything beside it is shared with the old tree. */
std::shared_ptr<node> changed(const std::shared_ptr<node>& old, bench_random_t* random, int depth) {
  auto result = std::make_shared<node>(*old);
  result->value++;
  if (depth > 0) {
    auto& side = bench_below(random, 2) == 0 ? result->left : result->right;
    side = changed(side, random, depth - 1);
  }
  return result;
}

uint64_t trees(bench_random_t* random, size_t operations) {
  constexpr int depth = 12;
  std::deque<std::shared_ptr<node>> versions;
  versions.push_back(tree(random, depth));
  for (size_t n = 0; n < operations; n++) {
    versions.push_back(changed(versions.back(), random, depth));
    if (versions.size() > 50) versions.pop_front();
  }
  return versions.back()->value;
}

std::string word(bench_random_t* random) {
  std::string w;
  size_t length = 3 + bench_below(random, 8) + (bench_below(random, 4) == 0 ? 20 : 0);
  for (size_t i = 0; i < length; i++) w += static_cast<char>('a' + bench_below(random, i < 2 ? 26 : 3));
  return w;
}

uint64_t words(bench_random_t* random, size_t operations) {
  std::unordered_map<std::string, std::vector<uint32_t>> postings;
  std::map<std::string, std::string> sorted;
  for (size_t n = 0; n < operations; n++) {
    std::string w = word(random);
    postings[w].push_back(static_cast<uint32_t>(n));
    if (n % 4 == 0) sorted[w] = w + ":" + std::to_string(n);
    if (sorted.size() > 20000) sorted.erase(sorted.begin());
    if (postings.size() > 50000) postings.erase(postings.begin());
  }
  uint64_t sum = postings.size();
  for (const auto& entry : sorted) {
    sum = bench_mix(sum, entry.second.size() + static_cast<unsigned char>(entry.first[0]));
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(2002);
  uint64_t sum = words(&random, bench_scaled(&bench, 2e6));
  sum = bench_mix(sum, trees(&random, bench_scaled(&bench, 8e5)));
  return bench_end(sum);
}

// Heavy on the compiler (DEPTH instances of nested class templates, ranges, variants, regular expressions)
// and, when run, on operator new and delete from several threads. The output is always the same.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#ifndef DEPTH
#define DEPTH 24
#endif

template <std::size_t N>
struct node {
  using value = std::variant<std::monostate, std::array<std::uint32_t, N % 7 + 1>, std::string>;
  std::map<std::string, value> items;
  std::unordered_map<std::uint64_t, std::vector<value>> index;

  void add(std::uint64_t n) {
    const std::string key = "k" + std::to_string(n % (N + 3));
    if (n % 3 == 0) {
      items[key] = std::string(n % 97, 'a' + static_cast<char>(N % 26));
    } else {
      items[key] = std::array<std::uint32_t, N % 7 + 1>{static_cast<std::uint32_t>(n)};
    }
    index[n % 11].push_back(items[key]);
  }

  std::uint64_t sum() const {
    struct visitor {
      std::uint64_t operator()(std::monostate) const { return 0; }
      std::uint64_t operator()(const std::string& s) const { return s.size(); }
      std::uint64_t operator()(const std::array<std::uint32_t, N % 7 + 1>& a) const {
        return std::accumulate(a.begin(), a.end(), std::uint64_t{N});
      }
    };
    std::uint64_t total = 0;
    for (const auto& [key, item] : items) total += key.size() * std::visit(visitor{}, item);
    for (const auto& [key, list] : index)
      for (const auto& item : list) total += (key + 1) * std::visit(visitor{}, item);
    return total;
  }
};

template <std::size_t... I>
std::uint64_t all_nodes(std::index_sequence<I...>) {
  auto nodes = std::make_unique<std::tuple<node<I>...>>();
  for (std::uint64_t n = 0; n < 200; n++) (std::get<I>(*nodes).add(n * 7919 + I), ...);
  return (std::get<I>(*nodes).sum() + ...);
}

struct tracked {
  explicit tracked(std::size_t n) : data(new std::string[n + 1]), size(n + 1) {
    for (std::size_t i = 0; i < size; i++) data[i] = std::string(i % 61, 'q');
    if (n % 13 == 12) {
      delete[] data;
      throw std::runtime_error("refused " + std::to_string(n));
    }
  }
  tracked(const tracked&) = delete;
  ~tracked() { delete[] data; }
  std::string* data;
  std::size_t size;
};

struct alignas(128) wide {
  unsigned char bytes[384];
};

static std::uint64_t exceptions(std::size_t rounds) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < rounds; i++) {
    try {
      auto object = std::make_shared<tracked>(i % 40);
      std::weak_ptr<tracked> weak = object;
      total += object->size + static_cast<std::uint64_t>(weak.use_count());
    } catch (const std::runtime_error& e) {
      total += std::string(e.what()).size();
    }
  }
  return total;
}

static std::uint64_t aligned(std::size_t rounds) {
  std::vector<std::unique_ptr<wide>> blocks;
  std::uint64_t wrong = 0;
  for (std::size_t i = 0; i < rounds; i++) {
    blocks.push_back(std::make_unique<wide>());
    if (reinterpret_cast<std::uintptr_t>(blocks.back().get()) % 128 != 0) wrong++;
    if (i % 3 == 0) blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i % blocks.size()));
  }
  return wrong;
}

static std::size_t words() {
  std::string text;
  for (int i = 0; i < 400; i++) text += "item" + std::to_string(i) + (i % 5 == 0 ? "; " : ", ");
  const std::regex pattern("([a-z]+)([0-9]+)([;,]) ");
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    if ((*it)[3] == ";") found.insert((*it)[2]);
  auto even = found | std::views::filter([](const std::string& s) { return s.size() > 1; }) |
              std::views::transform([](const std::string& s) { return s.size(); });
  return std::accumulate(even.begin(), even.end(), std::size_t{0});
}

static std::uint64_t threads() {
  std::vector<std::uint64_t> sums(6);
  std::vector<std::deque<std::unique_ptr<std::string>>> mail(6);
  std::vector<std::thread> pool;
  for (std::size_t t = 0; t < sums.size(); t++) {
    pool.emplace_back([&, t] {
      for (std::size_t i = 0; i < 4000; i++) {
        mail[t].push_back(std::make_unique<std::string>(i % 300, 'm'));
        sums[t] += mail[t].back()->size();
        if (i % 2 == 0) mail[t].pop_front();
      }
    });
  }
  for (auto& t : pool) t.join();
  mail.clear(); // freed by a thread that allocated none of it
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

int main() {
  std::printf("nodes %llu\n", static_cast<unsigned long long>(all_nodes(std::make_index_sequence<DEPTH>{})));
  std::printf("exceptions %llu\n", static_cast<unsigned long long>(exceptions(5000)));
  std::printf("misaligned %llu\n", static_cast<unsigned long long>(aligned(3000)));
  std::printf("words %zu\n", words());
  std::printf("threads %llu\n", static_cast<unsigned long long>(threads()));
}

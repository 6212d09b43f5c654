// lifetimes_cxx: operator new and delete in the corners of a C++ program's life.
//
// Objects with static storage built before main and destroyed after it, thread_local objects whose destructors
// allocate and free what other threads made, exceptions thrown across frames that own memory, function-local
// statics first reached while the process exits, over-aligned and nothrow forms, sized deletion, a new handler.
// The last destructor to run checks that all others did, and ends the process with status 1 if not.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

static std::atomic<unsigned> thread_destructors{0};
static std::atomic<unsigned> static_destructors{0};
static bool main_ended = false;

[[noreturn]] static void fail(const char* what) {
  std::fprintf(stderr, "lifetimes_cxx: FAILED: %s\n", what);
  _exit(1);
}

static void require(bool condition, const char* what) {
  if (!condition) fail(what);
}

// Destroyed last of all in this file: it is built first.
struct last_word {
  std::vector<std::string> words;
  last_word() : words(100, std::string(100, 'w')) {}
  ~last_word() {
    for (const auto& word : words) require(word == std::string(100, 'w'), "a static string has changed");
    require(main_ended && static_destructors == 3, "static destructors did not all run");
  }
};
static last_word last;

struct static_object {
  std::unique_ptr<std::vector<std::string>> data;
  explicit static_object(std::size_t n) : data(new std::vector<std::string>) {
    for (std::size_t i = 0; i < n; i++) data->push_back(std::string(i % 300, static_cast<char>('a' + i % 26)));
  }
  ~static_object() {
    for (std::size_t i = 0; i < data->size(); i++) {
      require((*data)[i] == std::string(i % 300, static_cast<char>('a' + i % 26)), "a static object has changed");
    }
    static std::vector<int> reached_late(1000, 7); // built while the process exits
    reached_late.resize(5000, 8);
    static_destructors++;
  }
};
static static_object first_object(1000);
static static_object second_object(3000);

static std::mutex exchange_lock;
static std::vector<std::unique_ptr<std::string>> exchange; // strings from one thread, freed by another

struct thread_object {
  std::vector<std::unique_ptr<std::string>> mine;
  thread_object() {
    for (std::size_t i = 0; i < 200; i++) mine.push_back(std::make_unique<std::string>(i, 't'));
  }
  ~thread_object() {
    std::vector<std::unique_ptr<std::string>> theirs;
    {
      const std::lock_guard<std::mutex> guard(exchange_lock);
      theirs.swap(exchange);
      for (std::size_t i = 0; i < mine.size(); i += 2) exchange.push_back(std::move(mine[i]));
    }
    for (const auto& text : theirs) {
      require(*text == std::string(text->size(), 't'), "a string of another thread has changed");
    }
    theirs.clear();
    std::vector<std::string> after(100, std::string(200, 'x')); // allocation in the destructor
    thread_destructors++;
  }
};

static void use_thread_object() {
  static thread_local thread_object object;
  require(object.mine[150]->size() == 150, "a thread's object is wrong");
}

struct alignas(256) wide {
  std::array<unsigned char, 768> bytes;
};

static void forms() {
  for (std::size_t i = 1; i < 3000; i += 7) {
    void* a = ::operator new(i);
    void* b = ::operator new[](i, std::nothrow);
    void* c = ::operator new(i, std::align_val_t(128));
    void* d = ::operator new[](i, std::align_val_t(4096), std::nothrow);
    require(a != nullptr && b != nullptr && c != nullptr && d != nullptr, "operator new returned a null pointer");
    require(reinterpret_cast<std::uintptr_t>(c) % 128 == 0, "operator new(align 128) is misaligned");
    require(reinterpret_cast<std::uintptr_t>(d) % 4096 == 0, "operator new[](align 4096) is misaligned");
    ::operator delete(a, i);
    ::operator delete[](b);
    ::operator delete(c, i, std::align_val_t(128));
    ::operator delete[](d, std::align_val_t(4096));
  }
  std::vector<std::unique_ptr<wide>> wides;
  for (int i = 0; i < 200; i++) {
    wides.push_back(std::make_unique<wide>());
    require(reinterpret_cast<std::uintptr_t>(wides.back().get()) % 256 == 0, "an over-aligned object is misaligned");
  }
  auto strings = std::make_unique<std::string[]>(500); // an array with a cookie in front
  for (int i = 0; i < 500; i++) strings[static_cast<std::size_t>(i)].assign(static_cast<std::size_t>(i), 's');
}

static unsigned handler_calls = 0;

static void impossible() {
  volatile std::size_t huge = SIZE_MAX / 2 + 100;
  void* volatile p = ::operator new(huge, std::nothrow);
  require(p == nullptr, "nothrow new of half the address space succeeded");
  bool thrown = false;
  try { // more than any object may have: whether a handler is asked first is up to the library
    p = ::operator new(huge);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  require(thrown, "new of half the address space did not throw");
  thrown = false;
  huge = SIZE_MAX / 8; // not impossible in itself, there is only not that much: the handler must be asked
  std::set_new_handler([] {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
  });
  try {
    p = ::operator new(huge);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  require(thrown && handler_calls == 3, "new of an eighth of the address space did not call its handler and throw");
}

static std::size_t throw_deep(std::size_t depth) {
  const std::vector<std::string> owned(3, std::string(depth * 10, 'e'));
  if (depth == 0) throw std::runtime_error(std::string(500, 'm'));
  return throw_deep(depth - 1) + owned.size();
}

static void exceptions() {
  for (int i = 0; i < 300; i++) {
    try {
      throw_deep(20);
      fail("nothing was thrown");
    } catch (const std::exception& e) {
      require(std::string(e.what()).size() == 500, "an exception's text has changed");
    }
  }
}

// Its work is fixed; it accepts the arguments of the other programs (-s PERCENT, -r SEED, -q) for CTest's sake.
int main(int argc, char**) {
  require(argc <= 6, "too many arguments");
  alarm(120);
  forms();
  impossible();
  for (int round = 0; round < 30; round++) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; i++) {
      threads.emplace_back([] {
        use_thread_object();
        exceptions();
      });
    }
    for (auto& thread : threads) thread.join();
  }
  require(thread_destructors == 180, "thread_local destructors did not all run");
  use_thread_object(); // the main thread's own is destroyed at exit
  static static_object late_object(500);
  std::puts("lifetimes_cxx: good so far, now the destructors");
  main_ended = true;
  return 0;
}

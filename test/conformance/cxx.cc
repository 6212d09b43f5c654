// Every replaceable form of operator new and delete, [new.delete]: 8 and 12, under the names of the Itanium ABI, and what
// follows when there is no memory: new-handlers, std::bad_alloc, nullptr. Preloaded, or linked with the library.
#include "conform.h"

#include <dlfcn.h>
#include <malloc.h>
#include <new>

namespace {

using std::align_val_t;
using std::nothrow;

void free_block(void* p) {
  ::operator delete(p);
}

}  // namespace

extern "C" {
release_t* const release = free_block;

size_t usable(const void* p) {
  return malloc_usable_size(const_cast<void*>(p));
}

void prepare() {
}
}

namespace {

// The form is the library's.
void check_origin(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  Dl_info info;
  context("looking up %s", name);
  CHECK(found != nullptr && dladdr(found, &info) != 0);
  context("%s comes from %s", name, info.dli_fname);
  CHECK(strstr(info.dli_fname, "libmimalloc") != nullptr || strstr(info.dli_fname, "conform") != nullptr);
}

// Called with `operator new` syntax that no compiler may leave out: by the functions, not by expressions.
typedef void* new_t(size_t size, size_t alignment);
typedef void delete_t(void* p, size_t size, size_t alignment);

align_val_t to(size_t alignment) {
  return static_cast<align_val_t>(alignment);
}

void* new_plain(size_t n, size_t) {
  return ::operator new(n);
}
void* new_nothrow(size_t n, size_t) {
  return ::operator new(n, nothrow);
}
void* new_aligned(size_t n, size_t a) {
  return ::operator new(n, to(a));
}
void* new_aligned_nothrow(size_t n, size_t a) {
  return ::operator new(n, to(a), nothrow);
}
void* array_plain(size_t n, size_t) {
  return ::operator new[](n);
}
void* array_nothrow(size_t n, size_t) {
  return ::operator new[](n, nothrow);
}
void* array_aligned(size_t n, size_t a) {
  return ::operator new[](n, to(a));
}
void* array_aligned_nothrow(size_t n, size_t a) {
  return ::operator new[](n, to(a), nothrow);
}

void delete_plain(void* p, size_t, size_t) {
  ::operator delete(p);
}
void delete_sized(void* p, size_t n, size_t) {
  ::operator delete(p, n);
}
void delete_nothrow(void* p, size_t, size_t) {
  ::operator delete(p, nothrow);
}
void delete_aligned(void* p, size_t, size_t a) {
  ::operator delete(p, to(a));
}
void delete_sized_aligned(void* p, size_t n, size_t a) {
  ::operator delete(p, n, to(a));
}
void delete_aligned_nothrow(void* p, size_t, size_t a) {
  ::operator delete(p, to(a), nothrow);
}
void array_delete_plain(void* p, size_t, size_t) {
  ::operator delete[](p);
}
void array_delete_sized(void* p, size_t n, size_t) {
  ::operator delete[](p, n);
}
void array_delete_nothrow(void* p, size_t, size_t) {
  ::operator delete[](p, nothrow);
}
void array_delete_aligned(void* p, size_t, size_t a) {
  ::operator delete[](p, to(a));
}
void array_delete_sized_aligned(void* p, size_t n, size_t a) {
  ::operator delete[](p, n, to(a));
}
void array_delete_aligned_nothrow(void* p, size_t, size_t a) {
  ::operator delete[](p, to(a), nothrow);
}

struct new_form {
  const char* name;
  new_t* make;
  delete_t* end;
  bool is_aligned, is_nothrow;
};

const new_form new_forms[] = {
    {"_Znwm", new_plain, delete_plain, false, false},
    {"_ZnwmRKSt9nothrow_t", new_nothrow, delete_plain, false, true},
    {"_ZnwmSt11align_val_t", new_aligned, delete_aligned, true, false},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", new_aligned_nothrow, delete_aligned, true, true},
    {"_Znam", array_plain, array_delete_plain, false, false},
    {"_ZnamRKSt9nothrow_t", array_nothrow, array_delete_plain, false, true},
    {"_ZnamSt11align_val_t", array_aligned, array_delete_aligned, true, false},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", array_aligned_nothrow, array_delete_aligned, true, true},
};

// Alternately from each form of new that it may follow.
struct delete_form {
  const char* name;
  delete_t* end;
  new_t* makes[2];
};

const delete_form delete_forms[] = {
    {"_ZdlPv", delete_plain, {new_plain, new_nothrow}},
    {"_ZdlPvm", delete_sized, {new_plain, new_nothrow}},
    {"_ZdlPvRKSt9nothrow_t", delete_nothrow, {new_nothrow, new_plain}},
    {"_ZdlPvSt11align_val_t", delete_aligned, {new_aligned, new_aligned_nothrow}},
    {"_ZdlPvmSt11align_val_t", delete_sized_aligned, {new_aligned, new_aligned_nothrow}},
    {"_ZdlPvSt11align_val_tRKSt9nothrow_t", delete_aligned_nothrow, {new_aligned_nothrow, new_aligned}},
    {"_ZdaPv", array_delete_plain, {array_plain, array_nothrow}},
    {"_ZdaPvm", array_delete_sized, {array_plain, array_nothrow}},
    {"_ZdaPvRKSt9nothrow_t", array_delete_nothrow, {array_nothrow, array_plain}},
    {"_ZdaPvSt11align_val_t", array_delete_aligned, {array_aligned, array_aligned_nothrow}},
    {"_ZdaPvmSt11align_val_t", array_delete_sized_aligned, {array_aligned, array_aligned_nothrow}},
    {"_ZdaPvSt11align_val_tRKSt9nothrow_t", array_delete_aligned_nothrow, {array_aligned_nothrow, array_aligned}},
};

// ---- without memory -------------------------------------------------------------------------------------------------

int handler_calls;
void* hoard;

void handler_gives_up() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct odd_exception : std::bad_alloc {};

void handler_throws() {
  handler_calls++;
  throw odd_exception();
}

// More than any address space has, and less than what is refused at once.
const size_t TOO_MUCH = static_cast<size_t>(1) << 47;

enum outcome { GOT, NOTHING, BAD_ALLOC, ODD };

outcome outcome_of(const new_form& form, size_t size, size_t alignment) {
  try {
    void* p = hide(form.make(hide_size(size), alignment));
    if (p == nullptr) return NOTHING;
    form.end(p, size, alignment);
    return GOT;
  } catch (const odd_exception&) {
    return ODD;
  } catch (const std::bad_alloc&) {
    return BAD_ALLOC;
  }
}

void check_failure(const new_form& form) {
  const outcome fails = form.is_nothrow ? NOTHING : BAD_ALLOC;
  std::set_new_handler(nullptr);
  for (const size_t* size = impossible; *size != 0; size++) {
    context("%s of %zu without handler", form.name, *size);
    CHECK(outcome_of(form, *size, 64) == fails);
  }
  context("%s with a handler that gives up", form.name);
  handler_calls = 0;
  std::set_new_handler(handler_gives_up);
  CHECK(outcome_of(form, TOO_MUCH, 64) == fails && handler_calls == 3);
  context("%s with a handler that throws", form.name);
  handler_calls = 0;
  std::set_new_handler(handler_throws);
  CHECK(outcome_of(form, TOO_MUCH, 64) == (form.is_nothrow ? NOTHING : ODD) && handler_calls == 1);
  context("%s of what no handler can help", form.name);
  CHECK(outcome_of(form, SIZE_MAX - 100, 64) == fails);
  if (form.is_aligned) {
    CHECK(outcome_of(form, 100, 3) == fails && outcome_of(form, 100, 0) == fails);
  }
  CHECK(handler_calls == 1);
  std::set_new_handler(nullptr);
}

// ---- the cases ------------------------------------------------------------------------------------------------------

const new_form* tested;
void* make_tested(size_t size) {
  return tested->make(size, 16);
}
void* make_tested_aligned(size_t size, size_t alignment) {
  return tested->make(size, alignment);
}

void check_news_pair(const new_form& form) {
  for (size_t round = 0; round < 3; round++) {
    for (const size_t* size = sizes; *size != 0; size++) {
      context("%s of %zu", form.name, *size);
      char* p = static_cast<char*>(hide(form.make(*size, 64)));
      CHECK(p != nullptr && reinterpret_cast<uintptr_t>(p) % (form.is_aligned ? 64 : 16) == 0);
      fill(p, *size, 1);
      form.end(p, *size, 64);
    }
  }
}

void test_new(const char* name) {
  check_origin(name);
  for (const new_form& form : new_forms) {
    if (strcmp(form.name, name) != 0) continue;
    tested = &form;
    check_news_pair(form);
    check_failure(form);
    context("%s(0)", name);
    void* p = hide(form.make(0, 16));
    void* q = hide(form.make(0, 16));
    CHECK(p != nullptr && q != nullptr && p != q);
    form.end(p, 0, 16);
    form.end(q, 0, 16);
  }
}

void test_delete(const char* name) {
  check_origin(name);
  for (const delete_form& form : delete_forms) {
    if (strcmp(form.name, name) != 0) continue;
    form.end(nullptr, 10, 64);
    for (size_t i = 0; i < 2; i++) {
      for (const size_t* size = sizes; *size != 0; size++) {
        context("%s of %zu", name, *size);
        void* p = hide(form.makes[i](*size, 64));
        errno = 4321;
        form.end(p, *size, 64);
        CHECK(errno == 4321);
      }
    }
  }
}

// The generic checks free by operator delete, so they are for the plain forms; the others are the same code below.
void test_generic() {
  tested = &new_forms[1];
  check_make(make_tested, RETURNS_ERROR);
  tested = &new_forms[3];
  check_make_aligned(make_tested_aligned, 1, RETURNS_ERROR);
}

// A handler that gives memory back helps.
void handler_frees() {
  handler_calls++;
  if (hoard == nullptr) std::set_new_handler(nullptr);
  ::operator delete(hoard);
  hoard = nullptr;
}

// Run with little address space, by mode "--exhaust" of this case.
void* make_with_handler(size_t size) {
  if (hoard == nullptr && handler_calls == 0) {
    hoard = ::operator new(100000000, nothrow);
    std::set_new_handler(handler_frees);
  }
  void* p = ::operator new(size, nothrow);
  if (p == nullptr) {
    CHECK(handler_calls >= 2 && hoard == nullptr);  // once with success, once without
    errno = ENOMEM;
  }
  return p;
}

void test_handler() {
}

class object {
 public:
  explicit object(int n) : number(n) {
    if (n < 0) throw n;
  }
  virtual ~object() {
    number = 0;
  }
  int number;
};

class alignas(256) wide_object : public object {
 public:
  explicit wide_object(int n) : object(n) {
  }
  char more[1000];
};

// Expressions: the compiler chooses the forms.
void test_expressions() {
  for (int i = 0; i < 1000; i++) {
    object* one = new object(i);
    object* wide = new wide_object(i);
    CHECK(reinterpret_cast<uintptr_t>(wide) % 256 == 0 && one->number == i && wide->number == i);
    delete one;
    delete wide;  // sized and aligned, through the virtual destructor
    int* ints = new int[static_cast<size_t>(i) + 1]();
    CHECK(all_zero(ints, (static_cast<size_t>(i) + 1) * sizeof(int)));
    delete[] ints;
    object* many = static_cast<object*>(nullptr);
    many = new object[3]{object(1), object(2), object(3)};
    delete[] many;
    try {
      delete new object(-1);
      CHECK(false);
    } catch (int n) {
      CHECK(n == -1);
    }
    delete new (nothrow) object(i);
  }
  bool thrown = false;
  try {
    delete[] static_cast<char*>(hide(new char[hide_size(SIZE_MAX / 2)]));
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown);
}

// The mi_new family throws as the operators do.
template <typename function>
function* mi_function(const char* name) {
  check_origin(name);
  return reinterpret_cast<function*>(dlsym(RTLD_DEFAULT, name));
}

template <typename call_t>
outcome outcome_of_call(call_t call) {
  try {
    return call() == nullptr ? NOTHING : GOT;
  } catch (const odd_exception&) {
    return ODD;
  } catch (const std::bad_alloc&) {
    return BAD_ALLOC;
  }
}

void test_mi_new_family() {
  static const char* const plain[] = {"mi_new", "mi_new_array"};
  static const char* const pairs[] = {"mi_new_aligned", "mi_new_array_aligned", "mi_new_n"};
  static const char* const nothrows[] = {"mi_new_nothrow", "mi_new_array_nothrow"};
  auto* get_heap = mi_function<void*()>("mi_heap_get_default");
  auto* mi_free = mi_function<void(void*)>("mi_free");
  auto* heap_new = mi_function<void*(void*, size_t)>("mi_heap_alloc_new");
  auto* heap_new_n = mi_function<void*(void*, size_t, size_t)>("mi_heap_alloc_new_n");
  auto* resize = mi_function<void*(void*, size_t)>("mi_new_realloc");
  auto* resize_n = mi_function<void*(void*, size_t, size_t)>("mi_new_reallocn");
  void* block = mi_function<make_t>("mi_new")(100);
  fill(block, 100, 3);
  for (int handled = 0; handled < 2; handled++) {
    std::set_new_handler(handled ? handler_throws : nullptr);
    const outcome fails = handled ? ODD : BAD_ALLOC;
    for (const char* name : plain) {
      auto* make = mi_function<make_t>(name);
      CHECK(outcome_of_call([&] { return make(TOO_MUCH); }) == fails);
      CHECK(outcome_of_call([&] { return make(SIZE_MAX); }) == BAD_ALLOC);
    }
    for (const char* name : pairs) {
      auto* make = mi_function<make_aligned_t>(name);
      CHECK(outcome_of_call([&] { return make(TOO_MUCH, 1); }) == fails);
      CHECK(outcome_of_call([&] { return make(SIZE_MAX, 2); }) == BAD_ALLOC);
    }
    CHECK(outcome_of_call([&] { return heap_new(get_heap(), TOO_MUCH); }) == fails);
    CHECK(outcome_of_call([&] { return heap_new_n(get_heap(), TOO_MUCH / 8, 8); }) == fails);
    CHECK(outcome_of_call([&] { return heap_new_n(get_heap(), SIZE_MAX, 8); }) == BAD_ALLOC);
    CHECK(outcome_of_call([&] { return resize(block, TOO_MUCH); }) == fails);
    CHECK(outcome_of_call([&] { return resize_n(block, SIZE_MAX / 2, 4); }) == BAD_ALLOC);
    CHECK(filled(block, 100, 3));
  }
  std::set_new_handler(nullptr);
  for (const char* name : nothrows) CHECK(mi_function<make_t>(name)(TOO_MUCH) == nullptr);
  mi_free(block);
}

#define NEW(name) \
  void test##name() { \
    test_new(#name); \
  }
#define DELETE(name) \
  void test##name() { \
    test_delete(#name); \
  }
NEW(_Znwm)
NEW(_ZnwmRKSt9nothrow_t)
NEW(_ZnwmSt11align_val_t)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW(_Znam)
NEW(_ZnamRKSt9nothrow_t)
NEW(_ZnamSt11align_val_t)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdlPv)
DELETE(_ZdlPvm)
DELETE(_ZdlPvRKSt9nothrow_t)
DELETE(_ZdlPvSt11align_val_t)
DELETE(_ZdlPvmSt11align_val_t)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE(_ZdaPv)
DELETE(_ZdaPvm)
DELETE(_ZdaPvRKSt9nothrow_t)
DELETE(_ZdaPvSt11align_val_t)
DELETE(_ZdaPvmSt11align_val_t)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t)

}  // namespace

#define CASE(name) {#name, test##name, nullptr},
#define CASE_OOM(name, make) {#name, test_##name, make},
// One a line, as CMakeLists.txt reads them.
// clang-format off
extern "C" const case_t cases[] = {
  CASE(_Znwm)
  CASE(_ZnwmRKSt9nothrow_t)
  CASE(_ZnwmSt11align_val_t)
  CASE(_ZnwmSt11align_val_tRKSt9nothrow_t)
  CASE(_Znam)
  CASE(_ZnamRKSt9nothrow_t)
  CASE(_ZnamSt11align_val_t)
  CASE(_ZnamSt11align_val_tRKSt9nothrow_t)
  CASE(_ZdlPv)
  CASE(_ZdlPvm)
  CASE(_ZdlPvRKSt9nothrow_t)
  CASE(_ZdlPvSt11align_val_t)
  CASE(_ZdlPvmSt11align_val_t)
  CASE(_ZdlPvSt11align_val_tRKSt9nothrow_t)
  CASE(_ZdaPv)
  CASE(_ZdaPvm)
  CASE(_ZdaPvRKSt9nothrow_t)
  CASE(_ZdaPvSt11align_val_t)
  CASE(_ZdaPvmSt11align_val_t)
  CASE(_ZdaPvSt11align_val_tRKSt9nothrow_t)
  CASE_OOM(generic, nullptr)
  CASE_OOM(expressions, nullptr)
  CASE_OOM(mi_new_family, nullptr)
  CASE_OOM(handler, make_with_handler)
  {nullptr, nullptr, nullptr}
};
// clang-format on

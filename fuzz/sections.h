// Included before each source of the library by the fuzzers' build: its variables lie in two sections of their own, which
// state.c keeps and restores.
#ifdef __clang__
#pragma clang section bss = "fuzz_bss" data = "fuzz_data"
#endif

# A version that is not installed must not be found.
find_package(mimalloc 2.0 REQUIRED)

// The main function of each test program: Debian's library has one for Linux only.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
